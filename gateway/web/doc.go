// Package web is the dashboard: pages made on the server for people who run ingestions, in English and
// Spanish, for narrow and wide screens, light and dark, with and without JavaScript.
//
// It guarantees:
//
//   - A page without JavaScript shows the state as of its request, and every action is a form. The
//     script only replaces elements by what the same templates make later, see live.go.
//   - No page holds script or style of its own, and the Content-Security-Policy allows none: what is
//     shown of jobs, databases and messages can never act.
//   - Every text is in both tables of texts, and every status is told by a shape, a colour and a word.
//
// It knows jobs by what package jobs answers, does nothing that the API cannot do, and keeps no
// sessions: who a caller is stands in the token that their browser carries, see package auth.
package web
