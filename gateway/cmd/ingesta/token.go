package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pharmavida/ingesta/gateway/auth"
	"github.com/pharmavida/ingesta/shared/config"
)

func (t *tool) tokenCommand() *cobra.Command {
	subject, scopes, ttl := "", []string{string(auth.Run), string(auth.Read)}, time.Hour
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make a token for development, with the secret that checks them",
		Long: "Makes a token that a gateway of the same AUTH_* settings lets in: AUTH_MODE=jwt, AUTH_JWT_SECRET, AUTH_ISSUER and\n" +
			"AUTH_AUDIENCE, from the environment, else from .env or .local/env in this folder. Where an identity provider\n" +
			"issues tokens (AUTH_JWKS_URL), and in production, it refuses.",
		Example: "  export INGESTA_TOKEN=$(ingesta token --subject ana --scope run --scope read --ttl 8h)",
		Args:    unexpected(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			var cfg auth.Config
			if _, err := config.Load(&cfg, t.environ("AUTH_", "INGESTA_ENV")); err != nil {
				return usageError{fmt.Errorf("the configuration is wrong: %w", err)}
			}
			now := t.now()
			claims := auth.Claims{Subject: subject, TTL: ttl}
			for _, scope := range scopes {
				if !strings.Contains(scope, ":") {
					scope = "ingesta:" + scope
				}
				claims.Scopes = append(claims.Scopes, auth.Scope(scope))
			}
			if err := claims.Validate(); err != nil {
				return usageError{err}
			}
			token, err := auth.Mint(cfg, claims, now)
			if err != nil {
				return err
			}
			end := now.Add(ttl).Truncate(time.Second)
			if t.asJSON() {
				return t.printJSON(map[string]any{"token": token, "subject": subject, "scopes": claims.Scopes, "expires_at": end.UTC()})
			}
			fmt.Fprintln(t.process.Stdout, token)
			t.note("good until %s for %s: %v", t.at(end), subject, claims.Scopes)
			return nil
		},
	}
	cmd.Flags().StringVar(&subject, "subject", cmp.Or(t.process.Getenv("USER"), "developer"), "whom it names")
	cmd.Flags().StringSliceVar(&scopes, "scope", scopes, "what it allows: run, read or admin; may be given several times")
	cmd.Flags().DurationVar(&ttl, "ttl", ttl, "how long it is good")
	complete(cmd, "scope", "run", "read", "admin")
	return cmd
}
