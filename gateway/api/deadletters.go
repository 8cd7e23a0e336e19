package api

import (
	"encoding/hex"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/pharmavida/ingesta/gateway/jobs"
)

// deadLetterList is the answer of GET /api/ingesta/dead-letters.
type deadLetterList struct {
	Total   int               `json:"total"`
	Letters []jobs.DeadLetter `json:"dead_letters"`
}

// deadLetters answers GET /api/ingesta/dead-letters.
func (a *API) deadLetters(c echo.Context) error {
	asked, err := parametersOf(c)
	if err != nil {
		return err
	}
	limit := asked.limit(jobs.MaxDeadLetters)
	if err := asked.check(); err != nil {
		return err
	}
	list, err := a.jobs.DeadLetters(c.Request().Context(), limit)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, deadLetterList{Total: list.Total, Letters: list.Letters})
}

// replay answers POST /api/ingesta/dead-letters/{id}/replay. It needs no Idempotency-Key: the letter
// is one.
func (a *API) replay(c echo.Context) error {
	id, err := LetterID(c)
	if err != nil {
		return err
	}
	if err := readNothing(c); err != nil {
		return err
	}
	Note(c, Deed{DeadLetter: id})
	receipt, err := a.jobs.Replay(c.Request().Context(), id, a.request(c))
	if err != nil {
		return err
	}
	if receipt.Replayed {
		c.Response().Header().Set(headerIdempotencyReplayed, "true")
	}
	return a.answerAccepted(c, receipt)
}

// LetterID returns the id of a dead letter in the path, or a *Problem: what is no hash was never one.
func LetterID(c echo.Context) (string, error) {
	id := c.Param("id")
	if sum, err := hex.DecodeString(id); err != nil || hex.EncodeToString(sum) != id {
		return "", fault(jobs.LetterNotFound, "there is no dead letter %s", strconv.Quote(cut(id)))
	}
	return id, nil
}
