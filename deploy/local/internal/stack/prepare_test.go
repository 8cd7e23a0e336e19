package stack

import "testing"

func TestSchemaOf(t *testing.T) {
	tests := map[string]struct{ said, want string }{
		"as migrate says it": {
			"mysql     flowlite_user@127.0.0.1:18306/flowlite_db (10.11.19)\n" +
				"schema    version 2 lookup_indexes, 2 migrations applied now, all tables and columns verified\n" +
				"seeds     98 rows of demonstration data\n",
			"schema at version 2 lookup_indexes",
		},
		"otherwise": {"all is well\n", "schema prepared"},
	}
	for name, test := range tests {
		if got := schemaOf(test.said); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
