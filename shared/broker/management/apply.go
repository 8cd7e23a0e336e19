package management

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// userTag lets the application's user look at its queues and at alarms, and change nothing.
const userTag = "monitoring"

// Apply prepares the broker for the system and returns what it changed, in words; nothing when all
// was in place. It takes the tag administrator. It sees to it that
//
//   - the virtual host exists;
//   - the application's user exists, with its password, when it is not the one that is logged in here;
//   - both have permissions on the virtual host; an operator's narrower ones stay;
//   - the policies are those of the definitions, and the broker really has them then.
//
// Policies of other names stay as they are, and so do users that are there, with their passwords,
// tags and permissions. After
// an error a part may be done; Apply may be repeated. Errors of the broker are of *Error.
//
// It does not declare queues: see broker.Declare, which works once this has.
func (c *Client) Apply(ctx context.Context, d Definitions) (changes []string, err error) {
	for _, step := range []func(context.Context) (string, error){
		c.ensureVHost,
		func(ctx context.Context) (string, error) { return c.ensurePermissions(ctx, c.user) },
		c.ensureUser,
		func(ctx context.Context) (string, error) { return c.ensurePermissions(ctx, c.broker.User) },
	} {
		change, err := step(ctx)
		if change != "" {
			changes = append(changes, change)
		}
		if err != nil {
			return changes, fmt.Errorf("preparing the broker: %w", err)
		}
	}
	set, err := c.ensurePolicies(ctx, d.of(c.broker))
	changes = append(changes, set...)
	if err != nil {
		return changes, fmt.Errorf("preparing the broker: %w", err)
	}
	return changes, nil
}

func (c *Client) ensureVHost(ctx context.Context) (change string, err error) {
	name := c.broker.VHost
	at := path("vhosts", name)
	if err := c.get(ctx, "looking for virtual host "+name, at, nil); !missing(err) {
		return "", err
	}
	// Other services declare their queue without a type, as the plain one that it has always been.
	err = c.put(ctx, "creating virtual host "+name, at, map[string]string{"default_queue_type": "classic"})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("virtual host %q created", name), nil
}

// ensurePermissions gives the user all permissions on the virtual host if it has none.
func (c *Client) ensurePermissions(ctx context.Context, user string) (change string, err error) {
	at := path("permissions", c.broker.VHost, user)
	if err := c.get(ctx, "looking for the permissions of user "+user, at, nil); !missing(err) {
		return "", err
	}
	err = c.put(ctx, "giving permissions to user "+user, at, map[string]string{"configure": ".*", "write": ".*", "read": ".*"})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("user %q given permissions on virtual host %q", user, c.broker.VHost), nil
}

// ensureUser creates the application's user. One that is there, and the one that is logged in here,
// is left alone: others may log in as it. Whether its password is the configured one, the first
// connection over AMQP tells.
func (c *Client) ensureUser(ctx context.Context) (change string, err error) {
	name := c.broker.User
	if name == c.user {
		return "", nil
	}
	at := path("users", name)
	if err := c.get(ctx, "looking for user "+name, at, nil); !missing(err) {
		return "", err
	}
	err = c.put(ctx, "creating user "+name, at, map[string]string{"password": c.broker.Password.Reveal(), "tags": userTag})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("user %q created", name), nil
}

// ensurePolicies sets the policies that are missing or different, and makes sure of the result. One
// by one, because of several in one file some brokers silently leave out all after a bad one.
func (c *Client) ensurePolicies(ctx context.Context, wanted []Policy) (changes []string, err error) {
	have, err := c.Policies(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range wanted {
		if slices.ContainsFunc(have, p.equal) {
			continue
		}
		if err := c.putPolicy(ctx, p); err != nil {
			return changes, err
		}
		changes = append(changes, fmt.Sprintf("policy %q set", p.Name))
	}
	if have, err = c.Policies(ctx); err != nil {
		return changes, err
	}
	for _, p := range wanted {
		if !slices.ContainsFunc(have, p.equal) {
			return changes, fmt.Errorf("setting policy %s: %w", p.Name, &Error{Kind: Failed, Cause: errors.New("the broker took the policy and does not have it")})
		}
	}
	return changes, nil
}
