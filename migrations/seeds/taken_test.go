package seeds

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/pharmavida/ingesta/migrations/migrationstest"
)

// A value of somebody else's under a unique key that is none of the schema's is no collision with
// another seeding: it is told, and not tried again and again.
func TestTaken(t *testing.T) {
	d := newDatabase(t)
	// AUTO_INCREMENT goes on counting where a transaction is rolled back.
	migrationstest.Exec(t, d.admin(t), ""+
		"CREATE TABLE `attempts` (`n` INT AUTO_INCREMENT PRIMARY KEY);"+
		"CREATE TRIGGER `counting` BEFORE INSERT ON `Bank` FOR EACH ROW INSERT INTO `attempts` VALUES (NULL);"+
		"ALTER TABLE `User` ADD UNIQUE KEY `their_key` (`username`);"+
		"INSERT INTO `User` VALUES ('22222222-2222-4222-8222-222222222222', 'juan.perez', 'otro@example.com', 'suya', 'USER', TRUE)")
	before := d.dump(t)
	_, err := seed(t.Context(), d.DB, Options{}, bcrypt.MinCost)
	taken, ok := errors.AsType[*TakenError](err)
	if !ok || taken.Table != "User" || taken.ID != id("User", juan) {
		t.Fatalf("seeding: %v, want the user of %s to be refused", err, juan)
	}
	for _, want := range []string{"table User", taken.ID, "juan.perez", "their_key"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("seeding: %v, want in it %q", err, want)
		}
	}
	same(t, "after the refusal", before, d.dump(t))
	next, err := d.ExecContext(t.Context(), "INSERT INTO `attempts` VALUES (NULL)")
	if err != nil {
		t.Fatal(err)
	}
	inserted, err := next.LastInsertId()
	if err != nil {
		t.Fatal(err)
	}
	if attempts := int(inserted-1) / all["Bank"]; attempts != 2 {
		t.Errorf("it was tried %d times, want once more than the first time", attempts)
	}
}
