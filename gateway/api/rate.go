package api

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pharmavida/ingesta/shared/jobstore"
)

// Rate is how many requests a caller may make. The zero Rate sets no limit.
type Rate jobstore.Limit

// greatestRate bounds the numbers of a Rate. What is larger is refused: no limit at all is called off.
const greatestRate = 100_000

// UnmarshalText reads a rate like 20/s, 600/m or 5000/h, with the number that may come at once after a
// pause: 20/s,burst=500. Without it, that is the first number. The word off sets no limit.
func (r *Rate) UnmarshalText(text []byte) error {
	*r = Rate{}
	given := string(text)
	if given == "off" {
		return nil
	}
	pace, burst, hasBurst := strings.Cut(given, ",")
	count, unit, _ := strings.Cut(pace, "/")
	per, known := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	n, ok := parseCount(count)
	if !known || !ok {
		return fmt.Errorf("%q is not a rate: use a form like 20/s, 600/m or 20/s,burst=500, with numbers from 1 to %d, or off", given, greatestRate)
	}
	rate := Rate{Rate: n, Per: per, Burst: n}
	if hasBurst {
		value, named := strings.CutPrefix(burst, "burst=")
		if rate.Burst, ok = parseCount(value); !named || !ok {
			return fmt.Errorf("%q is not a rate: what follows the comma must be like burst=500, with a number from 1 to %d", given, greatestRate)
		}
	}
	*r = rate
	return nil
}

// parseCount reads a number of requests: digits and nothing else.
func parseCount(text string) (int, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 1 && n <= greatestRate
}

// window is how long it takes until a whole burst is allowed again.
func (r Rate) window() time.Duration {
	return time.Duration(r.Burst) * r.Per / time.Duration(r.Rate)
}
