package broker

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// CommandType is the type property of a command.
const CommandType = "pharmavida.ingesta.command"

// EventSource is the CloudEvents source of every event.
const EventSource = "/pharmavida/ingesta"

// Headers of our messages. Those of events are the attributes of CloudEvents 1.0 in binary mode.
const (
	HeaderTraceparent = "traceparent" // W3C trace context

	HeaderEventSpec    = "cloudEvents:specversion"
	HeaderEventID      = "cloudEvents:id"
	HeaderEventType    = "cloudEvents:type"
	HeaderEventSource  = "cloudEvents:source"
	HeaderEventSubject = "cloudEvents:subject"
	HeaderEventTime    = "cloudEvents:time"

	HeaderReason     = "x-ingesta-reason"      // of a dead letter: why, for people
	HeaderCode       = "x-ingesta-code"        // of a dead letter: why, an ingest.Code
	HeaderBuriedAt   = "x-ingesta-buried-at"   // of a dead letter: RFC 3339
	HeaderRoutingKey = "x-ingesta-routing-key" // of a dead letter: the key it was delivered under
)

// commandMessage returns the message of a command. Publishing a command again gives the same
// message, with the job's id as its own.
func commandMessage(c ingest.Command, traceparent, app string) (amqp.Publishing, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return amqp.Publishing{}, fmt.Errorf("encoding the command: %w", err)
	}
	if len(body) > ingest.MaxCommand {
		return amqp.Publishing{}, fmt.Errorf("encoding the command of job %s: %w: no worker reads %d bytes", c.JobID, ErrRefused, len(body))
	}
	headers := amqp.Table{}
	if traceparent != "" {
		headers[HeaderTraceparent] = traceparent
	}
	return amqp.Publishing{
		ContentType:   amqp.MimeApplicationJSON,
		DeliveryMode:  amqp.Persistent,
		MessageId:     c.JobID,
		CorrelationId: c.JobID,
		Type:          CommandType,
		Timestamp:     c.AcceptedAt,
		AppId:         app,
		Headers:       headers,
		Body:          body,
	}, nil
}

// eventMessage returns the message of an event.
func eventMessage(e ingest.Event, traceparent, app string) (amqp.Publishing, error) {
	body, err := json.Marshal(e.Body)
	if err != nil {
		return amqp.Publishing{}, fmt.Errorf("encoding the event: %w", err)
	}
	headers := amqp.Table{
		HeaderEventSpec:    "1.0",
		HeaderEventID:      e.ID,
		HeaderEventType:    e.Type(),
		HeaderEventSource:  EventSource,
		HeaderEventSubject: e.Subject,
		HeaderEventTime:    e.Time.UTC().Format(time.RFC3339Nano),
	}
	if traceparent != "" {
		headers[HeaderTraceparent] = traceparent
	}
	return amqp.Publishing{
		ContentType:   amqp.MimeApplicationJSON,
		DeliveryMode:  amqp.Persistent,
		MessageId:     e.ID,
		CorrelationId: e.Body.JobID,
		Type:          e.Type(),
		Timestamp:     e.Time,
		AppId:         app,
		Headers:       headers,
		Body:          body,
	}, nil
}

// decodeEvent is the reverse of eventMessage.
func decodeEvent(d amqp.Delivery) (ingest.Event, error) {
	text := func(header string) string {
		s, _ := d.Headers[header].(string)
		return s
	}
	e := ingest.Event{ID: text(HeaderEventID), Subject: text(HeaderEventSubject)}
	if err := json.Unmarshal(d.Body, &e.Body); err != nil {
		return ingest.Event{}, fmt.Errorf("decoding the event's body: %w", err)
	}
	kind, ok := strings.CutPrefix(text(HeaderEventType), ingest.Event{}.Type())
	if !ok {
		return ingest.Event{}, fmt.Errorf("its type is %q, which is not one of ours", text(HeaderEventType))
	}
	e.Kind = ingest.EventKind(kind)
	at, err := time.Parse(time.RFC3339Nano, text(HeaderEventTime))
	if err != nil {
		return ingest.Event{}, fmt.Errorf("decoding the event's time: %w", err)
	}
	e.Time = at
	return e, nil
}

// republished returns the delivered message as one to be published again: the same body,
// properties and headers, without what the broker has added on the way. Left in, x-death and its
// kind would be taken for the new message's own history. The sender's user id and expiration are
// left out as well: the first would have to be ours, the second would let the message vanish.
func republished(d amqp.Delivery) amqp.Publishing {
	headers := make(amqp.Table, len(d.Headers)+4)
	for name, value := range d.Headers {
		if !madeByBroker(name) {
			headers[name] = value
		}
	}
	return amqp.Publishing{
		ContentType:     d.ContentType,
		ContentEncoding: d.ContentEncoding,
		DeliveryMode:    amqp.Persistent,
		Priority:        d.Priority,
		CorrelationId:   d.CorrelationId,
		ReplyTo:         d.ReplyTo,
		MessageId:       d.MessageId,
		Timestamp:       d.Timestamp,
		Type:            d.Type,
		AppId:           d.AppId,
		Headers:         headers,
		Body:            d.Body,
	}
}

func madeByBroker(header string) bool {
	switch header {
	case "x-death", "x-delivery-count", "x-acquired-count":
		return true
	default:
		return strings.HasPrefix(header, "x-first-death-") || strings.HasPrefix(header, "x-last-death-")
	}
}
