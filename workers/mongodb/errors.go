package mongodb

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/auth"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/pharmavida/ingesta/shared/ingest"
)

// The server's error codes that say more than "refused".
const (
	codeUnauthorized         = 13
	codeAuthenticationFailed = 18
	codeNamespaceNotFound    = 26
	codeSnapshotTooOld       = 239
	codeAtlasAuthentication  = 8000
)

// passing are the codes of a server that cannot answer now: it stops, changes its role, was told
// to end the operation, or lost a peer.
var passing = map[int32]bool{
	6: true, 7: true, 89: true, 9001: true, // a peer or a socket of the server
	43: true, 237: true, 175: true, // cursor not found, killed; plan killed
	50: true, 262: true, // out of time
	91: true, 11600: true, 11601: true, 11602: true, // shutting down, interrupted
	189: true, 10107: true, 13435: true, 13436: true, 133: true, // not the primary, none to be found
	63: true, 150: true, 13388: true, // chunks on the move
	246: true, // no snapshot yet
}

// failure names err in the system's terms, by the types of errors and the server's codes, never by
// their text. When ctx is over, its error is what counts. What has a name already comes back as it
// is.
func failure(ctx context.Context, err error) error {
	if named, ok := errors.AsType[*ingest.Error](err); ok {
		return named
	}
	if over := ctx.Err(); over != nil {
		return over
	}
	if command, ok := errors.AsType[mongo.CommandError](err); ok && command.Code != 0 {
		return ofCommand(command, err)
	}
	if _, ok := errors.AsType[*auth.Error](err); ok {
		return ingest.Permanent(ingest.SourceDenied, err, "MongoDB refuses the login")
	}
	if errors.Is(err, errStalled) {
		return ingest.Transient(ingest.SourceUnavailable, err, "MongoDB stopped answering")
	}
	if unreachable(err) {
		return ingest.Transient(ingest.SourceUnavailable, err, "MongoDB cannot be reached, or went away")
	}
	return ingest.AsError(err)
}

// ofCommand returns the failure that the server's answer stands for.
func ofCommand(command mongo.CommandError, err error) *ingest.Error {
	switch {
	case command.Code == codeAuthenticationFailed || command.Code == codeAtlasAuthentication:
		return ingest.Permanent(ingest.SourceDenied, err, "MongoDB refuses the login")
	case command.Code == codeUnauthorized:
		return ingest.Permanent(ingest.SourceDenied, err, "the MongoDB user lacks a permission")
	case command.Code == codeNamespaceNotFound:
		return ingest.Permanent(ingest.TableNotFound, err, "the collection does not exist")
	case command.Code == codeSnapshotTooOld:
		return ingest.Permanent(ingest.QueryFailed, err,
			"MongoDB keeps its history for a shorter time than the export takes: raise minSnapshotHistoryWindowInSeconds, or set MONGO_SNAPSHOT=false")
	case passing[command.Code]:
		return ingest.Transient(ingest.SourceUnavailable, err, "MongoDB cannot answer now (%s)", command.Name)
	default:
		return ingest.Permanent(ingest.QueryFailed, err, "MongoDB refuses the command (%s)", command.Name)
	}
}

// unreachable reports whether err is a server that was not found, or a connection that broke.
func unreachable(err error) bool {
	if _, ok := errors.AsType[topology.ServerSelectionError](err); ok {
		return true
	}
	if _, ok := errors.AsType[topology.ConnectionError](err); ok {
		return true
	}
	if _, ok := errors.AsType[topology.WaitQueueTimeoutError](err); ok {
		return true
	}
	return mongo.IsNetworkError(err) || mongo.IsTimeout(err) || errors.Is(err, mongo.ErrClientDisconnected)
}
