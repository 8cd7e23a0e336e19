package seeds

import (
	"database/sql"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/pharmavida/ingesta/migrations/migrationstest"
	"github.com/pharmavida/ingesta/shared/stacktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// all is how many rows of each table the data has.
var all = map[string]int{
	"Role": 3, "Bank": 5, "TransactionCategory": 11, "InsightCategory": 6, "User": 4, "UserInfo": 4,
	"TransactionBatch": 8, "Transaction": 47, "Insights": 10,
}

// expect compares what was done with each table, and their order.
func expect(t *testing.T, got Summary, want map[string]TableSummary) {
	t.Helper()
	var order []string
	for _, s := range got.Tables {
		order = append(order, s.Table)
		w := want[s.Table]
		w.Table = s.Table
		if s != w {
			t.Errorf("got %+v, want %+v", s, w)
		}
	}
	if !slices.Equal(order, tables) {
		t.Errorf("the summary is of the tables %q, want %q", order, tables)
	}
}

// each makes a summary of every table from the number of its rows.
func each(make func(rows int) TableSummary) map[string]TableSummary {
	every := map[string]TableSummary{}
	for table, rows := range all {
		every[table] = make(rows)
	}
	return every
}

func inserted(rows int) TableSummary { return TableSummary{Inserted: rows} }
func present(rows int) TableSummary  { return TableSummary{Present: rows} }

// An empty database is filled with the data, and with hashes that are those of the listed
// passwords; no password is anywhere in plain text.
func TestApply(t *testing.T) {
	d := newDatabase(t)
	summary, err := Apply(t.Context(), d.DB, Options{})
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	expect(t, summary, each(inserted))

	checked, err := Verify(t.Context(), d.DB)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	if len(checked) != len(people) {
		t.Errorf("%d logins were verified, want %d", len(checked), len(people))
	}
	for _, v := range checked {
		if v.Problem != "" {
			t.Errorf("%s: %s, want the hash of the listed password", v.Email, v.Problem)
		}
	}
	dump := d.dump(t)
	for _, login := range Logins() {
		if strings.Contains(dump, login.Password) {
			t.Errorf("the password of %s is in the tables in plain text", login.Email)
		}
	}

	rows, err := d.QueryContext(t.Context(), "SELECT `id_user`, `password`, `role`, `active` FROM `User` ORDER BY `email`")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	hashes := map[string]bool{}
	for rows.Next() {
		var key, hash, role string
		var active bool
		if err := rows.Scan(&key, &hash, &role, &active); err != nil {
			t.Fatal(err)
		}
		login := Logins()[slices.IndexFunc(people, func(p person) bool { return id("User", p.email) == key })]
		if role != login.Role || active != login.Active {
			t.Errorf("%s has role %s and active %v, want %s and %v", login.Email, role, active, login.Role, login.Active)
		}
		if cost, err := bcrypt.Cost([]byte(hash)); err != nil || cost < 10 {
			t.Errorf("the hash of %s has cost %d (%v), want at least 10", login.Email, cost, err)
		}
		if parsed, err := uuid.Parse(key); err != nil || parsed.Version() != 5 {
			t.Errorf("the id of %s is %s, want a UUID of version 5", login.Email, key)
		}
		hashes[hash] = true
	}
	if err := rows.Err(); err != nil || len(hashes) != len(people) {
		t.Errorf("%d hashes for %d users (%v): want one each, so that equal passwords do not show", len(hashes), len(people), err)
	}

	// What the tables hold, once in full: Spanish letters, amounts, times.
	for _, line := range []string{
		"bank_name=Banco de Bogotá",
		"primerNombre=María primerApellido=López telefono=+57 310 555 0102",
		"transaction_name=ABONO INTERESES AHORROS value=3218.47 transaction_date=2026-09-28T23:59:00Z transaction_type=income",
		"value=-1350000.00",
		"process_status=pending start_date=2026-10-31T10:02:00Z end_date= batch_size=18",
		"relevance=10 created_at=2026-10-26T07:55:00Z",
	} {
		if !strings.Contains(dump, line) {
			t.Errorf("no row holds %q:\n%s", line, dump)
		}
	}
}

// The second time nothing is inserted and nothing changes, hashes included.
func TestApplyTwice(t *testing.T) {
	d := newDatabase(t)
	d.seed(t, Options{})
	before := d.dump(t)
	expect(t, d.seed(t, Options{}), each(present))
	same(t, "seeding twice", before, d.dump(t))
}

// What is missing comes back under its id; what was changed, and what is not ours, stays.
func TestApplyKeepsWhatIsThere(t *testing.T) {
	d := newDatabase(t)
	d.seed(t, Options{})
	full := d.dump(t)
	migrationstest.Exec(t, d.DB, "DELETE FROM `Transaction` WHERE `transaction_name` LIKE 'NETFLIX%'")
	migrationstest.Exec(t, d.DB, "DELETE FROM `Insights`")
	want := each(present)
	want["Transaction"] = TableSummary{Inserted: 2, Present: all["Transaction"] - 2}
	want["Insights"] = inserted(all["Insights"])
	expect(t, d.seed(t, Options{}), want)
	same(t, "after missing rows were inserted again", full, d.dump(t))

	vandalise(t, d)
	changed := d.dump(t)
	d.seed(t, Options{})
	after := d.dump(t)
	for line := range strings.SplitSeq(changed, "\n") {
		if !strings.Contains(after, line) {
			t.Errorf("without Clean this row was changed or deleted: %s", line)
		}
	}
}

// vandalise changes, deletes and adds rows.
func vandalise(t *testing.T, d *database) {
	t.Helper()
	const other = "11111111-1111-4111-8111-111111111111"
	migrationstest.Exec(t, d.DB, "UPDATE `User` SET `password` = 'plain', `email` = CONCAT('x', `email`), `active` = NOT `active` WHERE `username` <> 'admin'")
	migrationstest.Exec(t, d.DB, "UPDATE `Bank` SET `bank_name` = 'Otro' WHERE `bank_name` = 'Nequi'")
	migrationstest.Exec(t, d.DB, "DELETE FROM `Insights` WHERE `relevance` > 6")
	migrationstest.Exec(t, d.DB, "UPDATE `Transaction` SET `value` = 0 WHERE `transaction_type` = 'income'")
	migrationstest.Exec(t, d.DB, "INSERT INTO `User` VALUES (?, 'otra', 'otra@example.com', 'x', 'USER', TRUE)", other)
	migrationstest.Exec(t, d.DB, "INSERT INTO `UserInfo` (`id_user`, `primerNombre`) VALUES (?, 'Otra')", other)
	migrationstest.Exec(t, d.DB, "INSERT INTO `Insights` VALUES (?, ?, NULL, 'suyo', 'suyo', 1, NOW())", other, other)
}

// Rows that were there before the first seeding survive it. A catalog's row is used by its name;
// a user with our email address is somebody else, and gets nothing of ours.
func TestApplyBesideOthers(t *testing.T) {
	d := newDatabase(t)
	const theirs = "22222222-2222-4222-8222-222222222222"
	migrationstest.Exec(t, d.DB, "INSERT INTO `Bank` VALUES (?, 'bancolombia'), ('33333333-3333-4333-8333-333333333333', 'Banco Popular')", theirs)
	migrationstest.Exec(t, d.DB, "INSERT INTO `TransactionCategory` VALUES (?, 'Educacion')", theirs)
	migrationstest.Exec(t, d.DB, "INSERT INTO `User` VALUES (?, 'maria', 'Maria.Lopez@Example.com', 'suya', 'USER', TRUE)", theirs)
	before := d.dump(t)

	summary := d.seed(t, Options{})
	want := each(inserted)
	want["Bank"] = TableSummary{Inserted: 4, Present: 1}
	want["TransactionCategory"] = TableSummary{Inserted: 10, Present: 1}
	want["User"] = TableSummary{Inserted: 3, Present: 1}
	want["UserInfo"] = TableSummary{Inserted: 3, Skipped: 1}
	want["TransactionBatch"] = TableSummary{Inserted: 4, Skipped: 4}
	want["Transaction"] = TableSummary{Inserted: 29, Skipped: 18}
	want["Insights"] = TableSummary{Inserted: 5, Skipped: 5}
	expect(t, summary, want)
	if !slices.Equal(summary.Strangers, []string{maria}) {
		t.Errorf("strangers are %q, want %q", summary.Strangers, maria)
	}
	after := d.dump(t)
	for line := range strings.SplitSeq(before, "\n") {
		if !strings.Contains(after, line) {
			t.Errorf("the row %s was changed or deleted", line)
		}
	}
	count := func(query string, args ...any) (n int) {
		t.Helper()
		if err := d.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return n
	}
	if n := count("SELECT COUNT(*) FROM `Transaction` WHERE `id_bank` = ?", theirs); n != 22 {
		t.Errorf("%d transactions are of the bank that was there, want the 22 at Bancolombia", n)
	}
	if n := count("SELECT COUNT(*) FROM `Transaction` WHERE `id_category` = ?", theirs); n != 1 {
		t.Errorf("%d transactions are of the category that was there, want 1", n)
	}
	if n := count("SELECT (SELECT COUNT(*) FROM `Transaction` WHERE `id_user` = ?) + (SELECT COUNT(*) FROM `Insights` WHERE `id_user` = ?)", theirs, theirs); n != 0 {
		t.Errorf("%d rows of ours hang on somebody else's user, want none", n)
	}

	repeated := d.seed(t, Options{})
	if !slices.Equal(repeated.Strangers, summary.Strangers) {
		t.Errorf("the second time the strangers are %q, want %q", repeated.Strangers, summary.Strangers)
	}
	same(t, "seeding twice beside others", after, d.dump(t))
}

// Clean restores exactly what an empty database gets.
func TestClean(t *testing.T) {
	d := newDatabase(t)
	expect(t, d.seed(t, Options{Clean: true}), each(inserted))
	fresh := d.dumpWithoutHashes(t)
	vandalise(t, d)
	want := each(func(rows int) TableSummary { return TableSummary{Deleted: rows, Inserted: rows} })
	for table, change := range map[string]int{"User": 1, "UserInfo": 1, "Insights": 1 - 6} {
		s := want[table]
		s.Deleted += change
		want[table] = s
	}
	expect(t, d.seed(t, Options{Clean: true}), want)
	same(t, "cleaning after vandalism", fresh, d.dumpWithoutHashes(t))
	checked, err := Verify(t.Context(), d.DB)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	for _, v := range checked {
		if v.Problem != "" {
			t.Errorf("%s: %s, want the listed password back", v.Email, v.Problem)
		}
	}
}

// A failure in the middle, of a delete or of the last insert, leaves all as it was.
func TestCleanFails(t *testing.T) {
	for name, obstacle := range map[string]string{
		"while deleting":  "CREATE TABLE `Session` (`id_user` CHAR(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci, FOREIGN KEY (`id_user`) REFERENCES `User` (`id_user`)); INSERT INTO `Session` SELECT `id_user` FROM `User`",
		"while inserting": "CREATE TRIGGER `obstacle` BEFORE INSERT ON `Insights` FOR EACH ROW BEGIN IF NEW.`title` LIKE 'Aún%' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'an obstacle'; END IF; END",
	} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t)
			d.seed(t, Options{})
			vandalise(t, d)
			before := d.dump(t)
			migrationstest.Exec(t, d.admin(t), obstacle)
			_, err := seed(t.Context(), d.DB, Options{Clean: true}, bcrypt.MinCost)
			if err == nil || !strings.Contains(err.Error(), "seeding: ") {
				t.Errorf("seeding: %v, want the failure", err)
			}
			same(t, "after a failure", before, d.dump(t))
		})
	}
}

// Several at once all succeed, and leave one set of rows.
func TestAtOnce(t *testing.T) {
	const several = 4
	for name, c := range map[string]struct {
		opts Options
		full bool // filled before
	}{
		"into an empty database": {},
		"all cleaning":           {opts: Options{Clean: true}, full: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t)
			if c.full {
				d.seed(t, Options{})
			}
			var (
				at        sync.WaitGroup
				summaries [several]Summary
				errs      [several]error
			)
			for i := range several {
				pool := d.connect(t)
				at.Go(func() { summaries[i], errs[i] = seed(t.Context(), pool, c.opts, bcrypt.MinCost) })
			}
			at.Wait()
			done := map[string]TableSummary{}
			for i, s := range summaries {
				if errs[i] != nil {
					t.Fatalf("number %d of %d: %v, want all to succeed", i, several, errs[i])
				}
				for _, table := range s.Tables {
					sum := done[table.Table]
					sum.Inserted += table.Inserted
					sum.Present += table.Present
					done[table.Table] = sum
				}
			}
			want := each(func(rows int) TableSummary { return TableSummary{Inserted: rows, Present: (several - 1) * rows} })
			if c.opts.Clean {
				want = each(func(rows int) TableSummary { return TableSummary{Inserted: several * rows} })
			}
			if !maps.Equal(done, want) {
				t.Errorf("together they did %+v, want %+v", done, want)
			}
			before := d.dump(t)
			expect(t, d.seed(t, Options{}), each(present))
			same(t, "seeding once more", before, d.dump(t))
		})
	}
}

// A deadlock with the transaction of a service, which the server ends by sacrificing ours, is
// tried again.
func TestDeadlock(t *testing.T) {
	d := newDatabase(t)
	service, err := d.connect(t).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = service.Rollback() }()
	insert := func(statement string, args ...any) {
		t.Helper()
		if _, err := service.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for i := range 100 { // the server sacrifices the transaction that has done less
		insert("INSERT INTO `TransactionBatch` VALUES (?, 'pending', NOW(), NULL, 1)", i)
	}
	insert("INSERT INTO `Bank` VALUES (?, 'Banco')", id("Bank", nequi))

	seeded := make(chan error, 1)
	go func() {
		_, err := seed(t.Context(), d.DB, Options{}, bcrypt.MinCost)
		seeded <- err
	}()
	// INNODB_TRX would tell who waits, and is not brought up to date while it is asked every moment.
	dirty, err := d.connect(t).BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelReadUncommitted})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dirty.Rollback() }()
	stacktest.Eventually(t, "the seeding has a role that the service wants too", func() bool {
		var there bool
		if err := dirty.QueryRowContext(t.Context(), "SELECT EXISTS (SELECT 1 FROM `Role` WHERE `id_role` = ?)", id("Role", admin)).Scan(&there); err != nil {
			t.Fatalf("looking for the role: %v", err)
		}
		return there
	})
	insert("INSERT INTO `Role` VALUES (?, 'ROLE')", id("Role", admin))
	if err := service.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-seeded; err != nil {
		t.Errorf("%v, want the seeding to succeed after the deadlock", err)
	}
	expect(t, d.seed(t, Options{}), each(present))
}

// Verify tells what is wrong with a login, and shows no stored value.
func TestVerify(t *testing.T) {
	d := newDatabase(t)
	d.seed(t, Options{})
	migrationstest.Exec(t, d.DB, "UPDATE `User` SET `password` = 'password123' WHERE `email` = ?", juan)
	migrationstest.Exec(t, d.DB, "UPDATE `User` a JOIN `User` b SET a.`password` = b.`password` WHERE a.`email` = ? AND b.`email` = ?", maria, ana)
	migrationstest.Exec(t, d.DB, "UPDATE `User` SET `email` = 'nadie@example.com' WHERE `email` = ?", pedro)
	checked, err := Verify(t.Context(), d.DB)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	want := map[string]string{
		juan: "what is stored is no bcrypt hash", maria: "another password is stored", ana: "", pedro: "there is no such user",
	}
	for _, v := range checked {
		if v.Problem != want[v.Email] {
			t.Errorf("%s: %q, want %q", v.Email, v.Problem, want[v.Email])
		}
	}
}

// A database without the tables is an error.
func TestWithoutTables(t *testing.T) {
	d := newDatabase(t)
	migrationstest.Exec(t, d.admin(t), "DROP TABLE `Insights`")
	if _, err := seed(t.Context(), d.DB, Options{}, bcrypt.MinCost); err == nil || !strings.Contains(err.Error(), "Insights") {
		t.Errorf("seeding: %v, want an error that names the missing table", err)
	}
	var n int
	if err := d.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM `User`").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d users were left by a seeding that failed (%v), want none", n, err)
	}
}
