// Package auth tells who makes a request. In mode jwt it asks for a bearer token (RFC 6750) in the
// Authorization header: a JSON Web Token signed with a secret that issuer and gateway share
// (HS256), or with a key that the issuer publishes (RS256, ES256). Browsers carry the same token in a
// cookie. In mode none everyone is let in.
//
// It guarantees:
//
//   - The configuration alone decides which algorithm, which keys, which issuer and which audience
//     are right. What a token says of its own keys (jwk, jku, x5c) is not looked at; a token that
//     demands extensions (crit) is refused.
//   - A token has an end, a subject fit to be recorded, and a signature that was checked before any
//     of its claims counted.
//   - The cookie is out of reach for scripts, goes to no other site's requests, and ends with its
//     token; in production it travels by https alone. What a request says in the header counts first.
//   - Errors hold nothing of the token, and nothing is logged of it.
//   - Published keys are fetched aside from requests: at the start, every five minutes, and when a
//     token names one that is not known, at most every ten seconds. While the issuer is away the
//     keys fetched last stay good. A key that the issuer withdraws is thus honoured for five minutes
//     more, and longer only while the issuer cannot be asked. Fetching is a few lines here because
//     requests must never queue for it, as they do with the libraries that limit its rate.
//
// Mint makes tokens for development. The package keeps no sessions and cannot take a token back before
// its end.
package auth
