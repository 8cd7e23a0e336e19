package api

import (
	"net"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// requestIDKey is where the id of a request is kept in Echo's context.
const requestIDKey = "request_id"

// RequestID returns the id that takeRequestID gave the request.
func RequestID(c echo.Context) string {
	id, _ := c.Get(requestIDKey).(string)
	return id
}

// takeRequestID gives the request the id its sender chose, if that is fit for logs and headers,
// or else a new one, and returns it to the sender.
func takeRequestID(c echo.Context) {
	id := c.Request().Header.Get(echo.HeaderXRequestID)
	if !validRequestID(id) {
		id = uuid.Must(uuid.NewV7()).String()
	}
	c.Set(requestIDKey, id)
	c.Response().Header().Set(echo.HeaderXRequestID, id)
}

// correlationIDKey is where the id that a client gave several requests is kept in Echo's context.
const correlationIDKey = "correlation_id"

// CorrelationID returns the id by which the sender ties this request to others, or nothing.
func CorrelationID(c echo.Context) string {
	id, _ := c.Get(correlationIDKey).(string)
	return id
}

// takeCorrelationID keeps the id that the sender gave this request and others, if it is fit for logs and
// headers, and returns it to the sender. Nobody but a sender knows what belongs together: none is made up.
func takeCorrelationID(c echo.Context) {
	if id := c.Request().Header.Get(echo.HeaderXCorrelationID); validRequestID(id) {
		c.Set(correlationIDKey, id)
		c.Response().Header().Set(echo.HeaderXCorrelationID, id)
	}
}

// addressOf returns what tells the address of a request's sender. Headers that name another than the
// connection does are anyone's to forge, so they are believed of the proxies alone.
func addressOf(proxies Networks) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, proxy := range proxies {
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP: proxy.Addr().AsSlice(), Mask: net.CIDRMask(proxy.Bits(), proxy.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// validRequestID accepts what UUIDs, ULIDs, base64 and the usual proxies make.
func validRequestID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		switch b := id[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', strings.IndexByte("-._~:+/=@", b) >= 0:
		default:
			return false
		}
	}
	return true
}

// validTraceparent accepts a traceparent header as W3C Trace Context defines it: version, trace
// id, parent id and flags in lower-case hex, neither id zero. Later versions may carry more after
// a dash.
func validTraceparent(s string) bool {
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(s) < length || len(s) > 512 {
		return false
	}
	if len(s) > length && (s[:2] == "00" || s[length] != '-') {
		return false
	}
	parts := strings.SplitN(s[:length], "-", 4)
	if len(parts) != 4 || len(parts[0]) != 2 || len(parts[1]) != 32 || len(parts[2]) != 16 || len(parts[3]) != 2 {
		return false
	}
	for _, part := range parts {
		if strings.Trim(part, "0123456789abcdef") != "" {
			return false
		}
	}
	return parts[0] != "ff" && strings.Trim(parts[1], "0") != "" && strings.Trim(parts[2], "0") != "" && printable(s)
}

// printable reports whether s is visible ASCII throughout.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
