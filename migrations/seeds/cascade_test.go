package seeds

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/pharmavida/ingesta/migrations/migrationstest"
)

// Clean deletes and changes no row of other tables, which hang on ours by their foreign keys.
func TestCleanRefusesCascades(t *testing.T) {
	d := newDatabase(t)
	d.seed(t, Options{})
	before := d.dump(t)
	const column = "(`id` CHAR(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NULL, CONSTRAINT "
	migrationstest.Exec(t, d.admin(t), ""+
		"CREATE TABLE `Session` "+column+"`session_fk` FOREIGN KEY (`id`) REFERENCES `User` (`id_user`) ON DELETE CASCADE);"+
		"CREATE TABLE `Budget` "+column+"`budget_fk` FOREIGN KEY (`id`) REFERENCES `Bank` (`id_bank`) ON DELETE SET NULL);"+
		"CREATE TABLE `Bystander` "+column+"`bystander_fk` FOREIGN KEY (`id`) REFERENCES `Role` (`id_role`));"+
		"INSERT INTO `Session` SELECT `id_user` FROM `User`; INSERT INTO `Budget` SELECT `id_bank` FROM `Bank`")
	_, err := seed(t.Context(), d.DB, Options{Clean: true}, bcrypt.MinCost)
	refused, ok := errors.AsType[*CascadeError](err)
	want := []string{
		"budget_fk of " + d.cfg.Database + ".Budget refers to Bank with ON DELETE SET NULL",
		"session_fk of " + d.cfg.Database + ".Session refers to User with ON DELETE CASCADE",
	}
	if !ok || !slices.Equal(refused.References, want) {
		t.Errorf("seeding: %v, want it refused for %q", err, want)
	}
	same(t, "after the refusal", before, d.dump(t))
	var sessions, budgets int
	if err := d.QueryRowContext(t.Context(), "SELECT (SELECT COUNT(*) FROM `Session`), (SELECT COUNT(`id`) FROM `Budget`)").Scan(&sessions, &budgets); err != nil {
		t.Fatal(err)
	}
	if sessions != all["User"] || budgets != all["Bank"] {
		t.Errorf("%d sessions and %d budgets hang on our rows, want the %d and %d that did", sessions, budgets, all["User"], all["Bank"])
	}
	expect(t, d.seed(t, Options{}), each(present)) // without Clean nobody follows anything
	migrationstest.Exec(t, d.admin(t), "DROP TABLE `Session`, `Budget`")
	if _, err := seed(t.Context(), d.DB, Options{Clean: true}, bcrypt.MinCost); err != nil {
		t.Errorf("without them: %v, want success", err)
	}
}
