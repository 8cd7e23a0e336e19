package engine

import (
	"context"
	"sync"
	"time"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// reportProgress reports how far the datasets are, as often as people want to see a bar move, until stop
// is called or ctx ends. It neither renews the lease nor learns of its loss, and holds nothing up: a
// report that fails is not missed, for the next one, or the renewal of the lease, says more.
func (a *attempt) reportProgress(ctx context.Context) (stop func()) {
	ctx, end := context.WithCancel(ctx)
	var reporting sync.WaitGroup
	reporting.Go(func() {
		ticker := time.NewTicker(a.cfg.ProgressEvery)
		defer ticker.Stop()
		told := a.board.snapshot()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			now := a.board.snapshot()
			news := advanced(told, now)
			if len(news) == 0 {
				continue
			}
			if err := a.claim.Lease.Progress(ctx, news); err != nil {
				a.log.Debug("progress was not reported", "error", err)
				continue
			}
			told = now
		}
	})
	return func() {
		end()
		reporting.Wait()
	}
}

// advanced returns the results of datasets that got on between two looks at the board and are not
// done: that is the commit's to say.
func advanced(before, now ingest.Results) ingest.Results {
	var news ingest.Results
	for i, r := range now {
		if was := before[i]; r.State != was.State || r.Rows != was.Rows || r.Bytes != was.Bytes {
			if r.State == ingest.Exporting || r.State == ingest.Broken {
				news = append(news, r)
			}
		}
	}
	return news
}
