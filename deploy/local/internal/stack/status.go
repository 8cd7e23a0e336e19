package stack

import (
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/pharmavida/ingesta/deploy/local/internal/process"
	"github.com/pharmavida/ingesta/deploy/local/internal/server"
	"github.com/pharmavida/ingesta/deploy/local/internal/state"
)

// Status prints a table of everything the stack consists of. It asks only the kernel, takes no lock
// and changes nothing.
func Status(layout Layout, out io.Writer) error {
	if !exists(layout.Data) {
		fmt.Fprintf(out, "nothing was started from %s: make up\n", layout.Root)
		return nil
	}
	st, err := state.Open(layout.Data)
	if err != nil {
		return err
	}
	w := wiring{layout: layout, ports: st.Ports()}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tSTATE\tPID\tPORT\tUPTIME\tRSS\tLOG")
	for _, srv := range append(w.backing(), w.product()...) {
		if err := row(table, layout, srv, st.Process(srv.Name)); err != nil {
			return err
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("printing the status: %w", err)
	}
	fmt.Fprintf(out, "data in %s\n", layout.Data)
	others, err := layout.others()
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.Name != "" {
			fmt.Fprintf(out, "there is also a stack named %s\n", other.Name)
		}
	}
	return nil
}

func row(table io.Writer, layout Layout, srv server.Server, record process.Record) error {
	log, err := filepath.Rel(layout.Root, layout.Log(srv.Name))
	if err != nil {
		return fmt.Errorf("naming a log: %w", err)
	}
	if record.ID.PID == 0 {
		fmt.Fprintf(table, "%s\tstopped\t-\t-\t-\t-\t%s\n", srv.Name, log)
		return nil
	}
	if !record.ID.Alive() {
		fmt.Fprintf(table, "%s\tdied\t-\t%d\t-\t-\t%s\n", srv.Name, record.Port, log)
		return nil
	}
	members, err := process.Members(record.ID, process.Mark(layout.ID, srv.Name))
	if err != nil {
		return err
	}
	uptime, err := record.ID.Uptime()
	if err != nil {
		return err
	}
	fmt.Fprintf(table, "%s\trunning\t%d\t%d\t%s\t%.1f MiB\t%s\n", srv.Name, record.ID.PID, record.Port,
		uptime.Round(time.Second), float64(process.Memory(members))/(1<<20), log)
	return nil
}
