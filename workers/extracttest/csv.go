package extracttest

import (
	"bytes"
	"fmt"
)

// Field is what a strict reader sees: NULL, or text that may be empty.
type Field struct {
	Null bool
	Text string
}

func (f Field) String() string {
	if f.Null {
		return "NULL"
	}
	return fmt.Sprintf("%q", f.Text)
}

// ReadCSV reads records of dialect ingesta-csv-1, without knowledge of a header. It was written
// from the dialect's description and not from its encoder: whatever the description does not
// allow is an error, also quotes where none are needed.
func ReadCSV(data []byte) (records [][]Field, err error) {
	var record []Field
	for len(data) > 0 {
		var f Field
		if data[0] == '"' {
			f, data, err = readQuoted(data[1:], len(record) == 0)
		} else {
			f, data, err = readPlain(data)
		}
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", len(records), err)
		}
		record = append(record, f)
		switch {
		case len(data) > 1 && data[0] == ',':
			data = data[1:]
		case len(data) > 0 && data[0] == '\n':
			data = data[1:]
			records = append(records, record)
			record = nil
		case len(data) > 1:
			return nil, fmt.Errorf("record %d: %q follows a closing quote", len(records), data[0])
		default:
			return nil, fmt.Errorf("record %d: it does not end in a newline", len(records))
		}
	}
	return records, nil
}

// readPlain reads a field without quotes and returns what follows it.
func readPlain(data []byte) (Field, []byte, error) {
	end := bytes.IndexAny(data, ",\n")
	if end < 0 {
		return Field{}, nil, fmt.Errorf("it does not end in a newline")
	}
	if bytes.ContainsAny(data[:end], "\"\r") {
		return Field{}, nil, fmt.Errorf("%q lacks quotes", data[:end])
	}
	return Field{Null: end == 0, Text: string(data[:end])}, data[end:], nil
}

// readQuoted reads a field behind its opening quote and returns what follows it.
func readQuoted(data []byte, first bool) (Field, []byte, error) {
	var text []byte
	for {
		end := bytes.IndexByte(data, '"')
		if end < 0 {
			return Field{}, nil, fmt.Errorf("a field lacks its closing quote")
		}
		text = append(text, data[:end]...)
		data = data[end+1:]
		if len(data) == 0 || data[0] != '"' {
			break
		}
		text = append(text, '"')
		data = data[1:]
	}
	alone := first && len(data) > 0 && data[0] == '\n'
	needed := len(text) == 0 || bytes.ContainsAny(text, ",\"\r\n") || alone && string(text) == `\.`
	if !needed {
		return Field{}, nil, fmt.Errorf("%q has quotes without need", text)
	}
	return Field{Text: string(text)}, data, nil
}
