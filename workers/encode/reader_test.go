package encode

import (
	"bytes"
	"fmt"
)

// field is what the reference reader sees: NULL, or text that may be empty.
type field struct {
	null bool
	text string
}

// readCSV reads the dialect strictly, written from its description and not from the Writer: what
// the description does not allow is an error.
func readCSV(data []byte) (records [][]field, err error) {
	var record []field
	for len(data) > 0 {
		var f field
		if data[0] == '"' {
			data = data[1:]
			var text []byte
			for {
				end := bytes.IndexByte(data, '"')
				if end < 0 {
					return nil, fmt.Errorf("record %d: no closing quote", len(records))
				}
				text = append(text, data[:end]...)
				data = data[end+1:]
				if len(data) == 0 || data[0] != '"' {
					break
				}
				text = append(text, '"')
				data = data[1:]
			}
			f.text = string(text)
			lonely := len(record) == 0 && len(data) > 0 && data[0] == '\n'
			if f.text != "" && !bytes.ContainsAny(text, ",\"\r\n") && !(lonely && f.text == `\.`) {
				return nil, fmt.Errorf("record %d: %q has quotes without need", len(records), f.text)
			}
		} else {
			end := bytes.IndexAny(data, ",\n")
			if end < 0 {
				return nil, fmt.Errorf("record %d: it does not end in a newline", len(records))
			}
			if bytes.ContainsAny(data[:end], "\"\r") {
				return nil, fmt.Errorf("record %d: %q lacks quotes", len(records), data[:end])
			}
			f = field{null: end == 0, text: string(data[:end])}
			data = data[end:]
		}
		record = append(record, f)
		if len(data) == 0 {
			return nil, fmt.Errorf("record %d: it does not end in a newline", len(records))
		}
		if data[0] != ',' && data[0] != '\n' {
			return nil, fmt.Errorf("record %d: %q follows a closing quote", len(records), data[0])
		}
		separator := data[0]
		data = data[1:]
		if separator == '\n' {
			records = append(records, record)
			record = nil
		} else if len(data) == 0 {
			return nil, fmt.Errorf("record %d: it does not end in a newline", len(records))
		}
	}
	return records, nil
}
