package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// loader is a client that sends one POST again and again over a connection of its own. It takes a
// fraction of what net/http's does of the processors that it shares with the gateway.
type loader struct {
	conn    net.Conn
	answers *bufio.Reader
	request []byte
	unbind  func() bool
}

// newLoader connects to the gateway, to ask for the dataset. The end of ctx breaks the connection.
func newLoader(ctx context.Context, g gateway, d dataset) (*loader, error) {
	request, err := g.request(ctx, d)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := request.Write(&text); err != nil {
		return nil, err
	}
	address, err := url.Parse(g.url)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address.Host)
	if err != nil {
		return nil, fmt.Errorf("connecting to the gateway: %w", err)
	}
	unbind := context.AfterFunc(ctx, func() { _ = conn.Close() }) // it ends whatever waits for it
	return &loader{conn, bufio.NewReader(conn), text.Bytes(), unbind}, nil
}

func (l *loader) close() {
	l.unbind()
	_ = l.conn.Close() // everything that was asked is answered
}

// post sends the request, which must be accepted.
func (l *loader) post() error {
	if _, err := l.conn.Write(l.request); err != nil {
		return fmt.Errorf("asking the gateway: %w", err)
	}
	response, err := http.ReadResponse(l.answers, nil)
	if err != nil {
		return fmt.Errorf("reading the gateway's answer: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("the gateway answers %s: %s", response.Status, body)
	}
	return err
}
