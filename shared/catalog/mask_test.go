package catalog

import (
	"strings"
	"testing"
)

const maskedCatalog = "version: 1\ndatabases:\n  - name: mysql\n    datasets:\n      - name: users\n        table: users\n        columns: [id, {name: dni, mask: hash}, {name: email, mask: last4}]\n"

func TestMasks(t *testing.T) {
	// printf 'a salt of 16 bytes12345678' | sha256sum
	const salt, hashed = "a salt of 16 bytes", "12e59150296060cda6f148771142d4d1190996d934e380c91f636a9a582e148a"
	for _, test := range []struct{ kind, text, want string }{
		{hash, "12345678", hashed},
		{redact, "12345678", "****"},
		{redact, "", "****"},
		{last4, "12345678", "****5678"},
		{last4, "1234567", "****"},
		{last4, "", "****"},
		{last4, "contraseñañññ", "****añññ"},
		{last4, "12345\xff\xfe\xfd", "****5\xff\xfe\xfd"},
		{"", "12345678", "12345678"},
	} {
		if got := string(Mask{kind: test.kind, salt: salt}.Append([]byte("x,"), []byte(test.text))); got != "x,"+test.want {
			t.Errorf("%s of %q is %q, want %q", test.kind, test.text, got, "x,"+test.want)
		}
	}
}

// A hash without a salt can be undone by whoever guesses the value.
func TestSalted(t *testing.T) {
	c, err := Parse("f.yaml", []byte(maskedCatalog))
	if err != nil {
		t.Fatal(err)
	}
	for _, salt := range []string{"", "fifteen bytes.."} {
		if _, err := c.Salted(salt); err == nil || !strings.Contains(err.Error(), "dni of mysql/users") {
			t.Errorf("salt %q: got %v, want an error that names the column", salt, err)
		}
	}
	salted, err := c.Salted("sixteen bytes...")
	if err != nil {
		t.Fatal(err)
	}
	of := func(c *Catalog) string {
		db, _ := c.Database("mysql")
		d, _ := db.Dataset("users")
		return string(d.Columns[1].Mask.Append(nil, []byte("x")))
	}
	if of(salted) == of(c) {
		t.Error("the salt makes no difference, or went into the catalog that it was asked of")
	}
	if salted.Digest() != c.Digest() {
		t.Error("the salt changes the digest, which is to tell the catalog's rules alone")
	}
	plain, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Salted(""); err != nil {
		t.Errorf("a catalog without hashes wants a salt: %v", err)
	}
}
