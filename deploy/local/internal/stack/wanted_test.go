package stack

import "testing"

func TestOnly(t *testing.T) {
	wanted, err := Only("redis,mariadb")
	if err != nil || wanted.Product || !wanted.any("redis") || !wanted.any("mariadb") || wanted.any("rabbitmq", "s3") {
		t.Errorf("got %+v, %v; want redis and mariadb alone", wanted, err)
	}
	for _, list := range []string{"redis,", "mysql", "gateway"} {
		if wanted, err := Only(list); err == nil {
			t.Errorf("%q is taken for servers: %+v", list, wanted)
		}
	}
	if wanted.prepared() || !Everything().prepared() || !(Wanted{Servers: Servers()}).prepared() {
		t.Error("what migrate prepares must be all there, broker included, and only then")
	}
	ran := ""
	task := func(name string) func() error { return func() error { ran += name; return nil } }
	if err := together(wanted.when("redis", task("a"), task("b")), wanted.when("s3", task("c"))); err != nil || ran != "ab" {
		t.Errorf("ran %q, %v; want what redis needs, in its order", ran, err)
	}
}
