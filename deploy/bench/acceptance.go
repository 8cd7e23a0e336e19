package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/pharmavida/ingesta/deploy/rabbitmq"
	"github.com/pharmavida/ingesta/shared/broker"
	"github.com/pharmavida/ingesta/shared/broker/management"
	"github.com/pharmavida/ingesta/shared/config"
	"github.com/pharmavida/ingesta/shared/ingest"
)

// What the measurement of acceptance does.
const (
	clients  = 32
	requests = 10_000 // of a round
	lap      = 20     // requests of each client before the clock runs: connections are made by then
)

// Where acceptance is measured: jobs that no worker takes must not lie among the others.
const (
	acceptanceVHost = "bench-acceptance"
	acceptanceRedis = 1 // database
	bareQueue       = "bench.bare"
)

// acceptance is a gateway with a virtual host and a Redis database of its own, and no worker.
type acceptance struct {
	gateway gateway
	process *program // of the gateway
	redis   *redis.Client
	broker  *amqp.Connection
	bare    []*amqp.Channel // one of each client
}

// gatewayPosts measures how fast the gateway accepts jobs.
func gatewayPosts(name string, d dataset) subject {
	return subject{
		name: name, prepare: prepareAcceptance,
		measure: func(ctx context.Context, b *bench) (measurement, error) {
			a := b.acceptance
			loaders := make([]*loader, clients)
			for i := range loaders {
				var err error
				if loaders[i], err = newLoader(ctx, a.gateway, d); err != nil {
					return measurement{}, err
				}
				defer loaders[i].close()
			}
			observed, err := b.observe(ctx, name, a.process.pid())
			if err != nil {
				return measurement{}, err
			}
			m, err := a.measure(ctx, broker.CommandQueue(d.Database), func(client, _ int) error { return loaders[client].post() })
			return m, errors.Join(err, observed.end(&m))
		},
	}
}

// bareLoop measures what an acceptance cannot do without: one write to Redis and one publish to a
// quorum queue, confirmed. Each client has a channel of its own.
func bareLoop(name string) subject {
	return subject{
		name: name, prepare: prepareAcceptance,
		measure: func(ctx context.Context, b *bench) (measurement, error) {
			a, job, command := b.acceptance, make([]byte, 600), make([]byte, 400)
			return a.measure(ctx, bareQueue, func(client, n int) error {
				if err := a.redis.Set(ctx, fmt.Sprintf("bench:%d:%d", client, n), job, 0).Err(); err != nil {
					return err
				}
				message := amqp.Publishing{DeliveryMode: amqp.Persistent, Body: command}
				confirmed, err := a.bare[client].PublishWithDeferredConfirmWithContext(ctx, "", bareQueue, true, false, message)
				if err != nil {
					return err
				}
				if ok, err := confirmed.WaitContext(ctx); err != nil || !ok {
					return errors.Join(errors.New("the broker did not confirm a message"), err)
				}
				return nil
			})
		},
	}
}

// measure has all clients send their requests side by side, each client one after the other, and
// removes what they have left in the queue and in Redis. The requests of a client are numbered.
func (a *acceptance) measure(ctx context.Context, queue string, send func(client, n int) error) (measurement, error) {
	if _, _, err := together(lap, send); err != nil {
		return measurement{}, err
	}
	took, all, err := together(requests/clients, send)
	if err := errors.Join(err, a.clear(ctx, queue)); err != nil {
		return measurement{}, err
	}
	return ofRequests(took, all), nil
}

// together has every client send so many requests, and returns how many milliseconds each of them
// took, and how long all.
func together(each int, send func(client, n int) error) (took []float64, all time.Duration, err error) {
	took = make([]float64, clients*each)
	problems := make([]error, clients)
	var running sync.WaitGroup
	began := time.Now()
	for client := range clients {
		running.Go(func() {
			for n := range each {
				sent := time.Now()
				if problems[client] = send(client, n); problems[client] != nil {
					return
				}
				took[client*each+n] = milliseconds(time.Since(sent))
			}
		})
	}
	running.Wait()
	return took, time.Since(began), errors.Join(problems...)
}

// clear purges the queue and empties the Redis database.
func (a *acceptance) clear(ctx context.Context, queue string) error {
	channel, err := a.broker.Channel()
	if err != nil {
		return err
	}
	_, err = channel.QueuePurge(queue, false)
	return errors.Join(err, channel.Close(), a.redis.FlushDB(ctx).Err())
}

// prepareAcceptance makes the surroundings once.
func prepareAcceptance(ctx context.Context, b *bench) error {
	if b.acceptance != nil {
		return nil
	}
	var cfg struct {
		Broker     broker.Config
		Management management.Config
		Redis      config.Secret `env:"REDIS_PASSWORD"`
	}
	variables := []string{"RABBITMQ_VHOST=" + acceptanceVHost, fmt.Sprintf("REDIS_DB=%d", acceptanceRedis)}
	if _, err := config.Load(&cfg, b.stack.environ(variables...)); err != nil {
		return err
	}
	definitions, err := management.ParseDefinitions(rabbitmq.Definitions())
	if err != nil {
		return err
	}
	if _, err := management.New(cfg.Management, cfg.Broker).Apply(ctx, definitions); err != nil {
		return err
	}
	a := &acceptance{redis: redis.NewClient(&redis.Options{
		Addr: b.stack.address("REDIS"), Password: cfg.Redis.Reveal(), DB: acceptanceRedis, PoolSize: clients,
	})}
	b.closers = append(b.closers, a.redis.Close)
	a.broker, err = amqp.DialConfig("amqp://"+b.stack.address("RABBITMQ"), amqp.Config{
		Vhost: acceptanceVHost, SASL: []amqp.Authentication{&amqp.PlainAuth{Username: cfg.Broker.User, Password: cfg.Broker.Password.Reveal()}},
	})
	if err != nil {
		return fmt.Errorf("connecting to RabbitMQ: %w", err)
	}
	b.closers = append(b.closers, a.broker.Close)
	for range clients {
		channel, err := a.broker.Channel()
		if err != nil {
			return err
		}
		if err := channel.Confirm(false); err != nil {
			return err
		}
		a.bare = append(a.bare, channel)
	}
	if _, err := a.bare[0].QueueDeclare(bareQueue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		return fmt.Errorf("declaring a queue: %w", err)
	}
	b.machine.RabbitMQ, _ = a.broker.Properties["version"].(string)
	info, err := a.redis.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	b.machine.Redis = field(info, "redis_version")
	// What is measured is how fast jobs are accepted, of a client that may ask so much.
	p, err := b.start(ctx, "gateway-acceptance", "gateway", "GATEWAY_PORT", append(variables, "GATEWAY_HOST=127.0.0.1", "INGESTA_RATE_RUN=off")...)
	if err != nil {
		return err
	}
	a.process, a.gateway = p, gateway{url: p.url}
	b.acceptance = a
	return a.clear(ctx, broker.CommandQueue(ingest.PostgreSQL)) // of a run that was cut short
}
