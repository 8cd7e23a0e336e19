// Package presign makes the addresses from which browsers download finished objects. Who has such an
// address may read the one object it names until it expires, without a token of ours: it is a secret
// and belongs in no log.
//
// An address is signed with the gateway's own credentials, those of the SDK's default chain, and can do no
// more than they can: reading the bucket's objects (s3:GetObject) is all that they need.
//
// Guarantees: signing asks S3 nothing, so an object that is gone is found missing by the browser. Finding
// credentials may ask their provider, and takes bounded time. Errors hold no secret.
//
// Non-goals: uploads; objects of other buckets; taking an address back before it expires.
package presign
