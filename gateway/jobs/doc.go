// Package jobs turns requests into jobs and keeps them moving: it accepts, finds, cancels, awaits
// and watches them, and repairs what a crash left half done.
//
// It guarantees that a job it reports as accepted is recorded in Redis and that its command has
// been confirmed by RabbitMQ; that a job it reports as refused leaves nothing behind; and that
// where it cannot know, it says so and names the job. Whoever watches a job sees its end, whatever
// was away meanwhile, and a thousand who do cost Redis what one does. It guarantees nothing about
// when a job runs: that is the workers' part.
//
// It knows nothing of HTTP, and it never reads or writes the data that is exported.
package jobs
