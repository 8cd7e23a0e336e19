package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/shared/jobstore"
)

// Limiter counts requests for all gateways; *jobstore.Store is it.
type Limiter interface {
	// Allow counts a request under the key, and says whether the limit allows it.
	Allow(ctx context.Context, key string, limit jobstore.Limit) (jobstore.Allowance, error)
}

// The times of the limiter.
const (
	countTimeout = time.Second     // of counting one request; without an answer it is let through
	countPause   = 2 * time.Second // after a failure, in which nothing is counted
)

// limiter holds callers to a rate in each class of routes. While Redis does not answer it holds nobody to
// anything: what matters then is refused for want of Redis anyway, and looking at health must go on.
type limiter struct {
	counts  Limiter
	classes map[string]rateClass
	until   atomic.Int64 // nanoseconds of the clock, before which nothing is counted
	failing atomic.Bool
	log     *slog.Logger
}

// rateClass is a class of routes with a limit of its own.
type rateClass struct {
	rate   Rate
	policy string // for the header RateLimit-Policy
}

// The classes of routes.
const (
	classRun  = "run"  // what changes something
	classRead = "read" // everything else
)

func newLimiter(run, read Rate, counts Limiter, log *slog.Logger) *limiter {
	l := &limiter{counts: counts, classes: map[string]rateClass{}, log: log}
	for name, rate := range map[string]Rate{classRun: run, classRead: read} {
		if rate != (Rate{}) {
			l.classes[name] = rateClass{rate, fmt.Sprintf(`%q;q=%d;w=%d`, name, rate.Burst, seconds(rate.window()))}
		}
	}
	return l
}

// limit refuses requests of callers who exceed their rate. It stands behind the check of who they are, and
// before any body is read. Open routes that only show something are not limited: probes, documents
// and what pages are made of.
func (a *API) limit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		need, declared := a.need(c)
		name := classRead
		if !slices.Contains(safe, c.Request().Method) {
			name = classRun
		}
		class, limited := a.limiter.classes[name]
		if !limited || !declared || (need == OpenToAll && name == classRead) {
			return next(c)
		}
		allowance, counted, err := a.limiter.count(c.Request().Context(), name+" "+callerName(c), class.rate)
		if err != nil {
			return err
		}
		if !counted {
			return next(c)
		}
		header := c.Response().Header()
		header.Set(headerRateLimitPolicy, class.policy)
		header.Set(headerRateLimit, `"`+name+`";r=`+strconv.Itoa(allowance.Remaining)+";t="+strconv.Itoa(seconds(allowance.Reset)))
		if allowance.Allowed {
			return next(c)
		}
		p := fault(rateLimited, "%d requests of the class %q at once, and %d in %s after that, are what a caller may make; wait as long as Retry-After says",
			class.rate.Burst, name, class.rate.Rate, class.rate.Per)
		p.retryAfter = max(1, seconds(allowance.RetryAfter))
		return p
	}
}

// count counts a request, and reports whether it could. The only error is that the client has left.
func (l *limiter) count(ctx context.Context, key string, rate Rate) (allowance jobstore.Allowance, counted bool, err error) {
	if time.Now().UnixNano() < l.until.Load() {
		return jobstore.Allowance{}, false, nil
	}
	counting, cancel := context.WithTimeoutCause(ctx, countTimeout, errors.New("counting a request timed out"))
	defer cancel()
	allowance, err = l.counts.Allow(counting, key, jobstore.Limit(rate))
	switch {
	case err == nil:
		if l.failing.CompareAndSwap(true, false) {
			l.log.Info("requests are counted again, and limited")
		}
		return allowance, true, nil
	case ctx.Err() != nil:
		return jobstore.Allowance{}, false, ctx.Err()
	}
	l.until.Store(time.Now().Add(countPause).UnixNano())
	if l.failing.CompareAndSwap(false, true) {
		l.log.Warn("requests cannot be counted and are let through without a limit", "error", err)
	}
	return jobstore.Allowance{}, false, nil
}

// callerName tells callers apart: by their subjects, or their addresses where nobody says who they are.
// A host has an IPv6 network of its own, and any address in it.
func callerName(c echo.Context) string {
	if subject := Subject(c); subject != "" && subject != auth.Anyone {
		return "subject " + subject
	}
	const network = 64
	address := c.RealIP()
	if ip, err := netip.ParseAddr(address); err == nil {
		ip = ip.Unmap().WithZone("")
		address = ip.String()
		if prefix, err := ip.Prefix(network); err == nil { // there is none in an IPv4 address
			address = prefix.String()
		}
	}
	return "address " + address
}

// seconds rounds up, as a client that comes too early gains nothing.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
