package seeds

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"golang.org/x/crypto/bcrypt"
)

// Login is a user of the demonstration data with the password, which is no secret: it stands in
// the documentation.
type Login struct {
	Email    string
	Password string
	Role     string
	Active   bool
}

// Logins returns all users of the demonstration data.
func Logins() []Login {
	logins := make([]Login, len(people))
	for i, p := range people {
		logins[i] = Login{p.email, p.password, p.role, p.active}
	}
	return logins
}

// Verification says whether a login's listed password is the stored one.
type Verification struct {
	Login
	Problem string // empty: the stored hash is that of the listed password
}

// Verify holds the stored hash of each login against its listed password. It changes nothing.
func Verify(ctx context.Context, db *sql.DB) ([]Verification, error) {
	var all []Verification
	for _, login := range Logins() {
		var stored, problem string
		err := db.QueryRowContext(ctx, "SELECT `password` FROM `User` WHERE `email` = ?", login.Email).Scan(&stored)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			problem = "there is no such user"
		case err != nil:
			return nil, fmt.Errorf("reading the password hash of %s: %w", login.Email, err)
		default:
			problem = compare(stored, login.Password)
		}
		all = append(all, Verification{login, problem})
	}
	return all, nil
}

// compare says what is wrong with a stored hash, without showing it.
func compare(stored, password string) string {
	switch err := bcrypt.CompareHashAndPassword([]byte(stored), []byte(password)); {
	case err == nil:
		return ""
	case errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
		return "another password is stored"
	default:
		return "what is stored is no bcrypt hash"
	}
}

// hashAll returns a new hash of each user's password, by email address.
func hashAll(cost int) (map[string]string, error) {
	hashes := map[string]string{}
	for _, p := range people {
		hash, err := bcrypt.GenerateFromPassword([]byte(p.password), cost)
		if err != nil {
			return nil, fmt.Errorf("hashing the password of %s: %w", p.email, err)
		}
		hashes[p.email] = string(hash)
	}
	return hashes, nil
}
