package catalog

import "github.com/pharmavida/ingesta/shared/ingest"

// Column is one column to export.
type Column struct {
	Name string
	As   string // its name in the file; empty is Name
	JSON bool   // the text of this column is a JSON document, whatever type the server gives it
	Mask Mask
}

// Label returns the name of the column in the file.
func (c Column) Label() string {
	if c.As != "" {
		return c.As
	}
	return c.Name
}

// Describe returns what the manifest says of the column, given its type in the file and its type
// in the source. What a mask leaves is text.
func (c Column) Describe(fileType, sourceType string) ingest.Column {
	described := ingest.Column{Name: c.Label(), Type: fileType, SourceType: sourceType, Mask: c.Mask.String()}
	if described.Name != c.Name {
		described.Source = c.Name
	}
	if !c.Mask.IsZero() {
		described.Type = ingest.TypeText
	}
	return described
}
