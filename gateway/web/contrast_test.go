package web

import (
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The colours of both themes reach WCAG AA: 4.5:1 for text, 3:1 for what bounds and marks things.
func TestContrast(t *testing.T) {
	const forText, forShapes = 4.5, 3
	css, err := fs.ReadFile(assetFiles, "assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, ok := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("there is no dark theme")
	}
	dark, _, _ := strings.Cut(rest, "\n}\n")
	themes := map[string]map[string]string{"light": variables(light), "dark": variables(dark)}
	for theme, colours := range themes {
		check := func(front, back string, want float64) {
			if got := contrast(t, colours[front], colours[back]); got < want {
				t.Errorf("%s: %s on %s has %.2f:1, want %.1f:1", theme, front, back, got, want)
			}
		}
		for _, back := range []string{"ground", "surface", "sunken"} {
			for _, front := range []string{"text", "dim", "accent", "good", "run", "warn", "bad", "idle"} {
				check(front, back, forText)
			}
			check("strong-line", back, forShapes)
		}
		for back, fronts := range map[string][]string{
			"accent": {"on-accent"}, "accent-hover": {"on-accent"}, "tint": {"accent", "text"}, "bad": {"surface"},
			"bad-ground": {"bad", "text", "dim"}, "warn-ground": {"warn", "text"},
		} {
			for _, front := range fronts {
				check(front, back, forText)
			}
		}
	}
}

func variables(css string) map[string]string {
	colours := map[string]string{}
	for _, match := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{3,6});`).FindAllStringSubmatch(css, -1) {
		colours[match[1]] = match[2]
	}
	return colours
}

// contrast returns the ratio of two colours, as WCAG 2.2 defines it.
func contrast(t *testing.T, one, other string) float64 {
	t.Helper()
	a, b := luminance(t, one), luminance(t, other)
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	digits := strings.TrimPrefix(colour, "#")
	if len(digits) == 3 {
		digits = fmt.Sprintf("%c%c%c%c%c%c", digits[0], digits[0], digits[1], digits[1], digits[2], digits[2])
	}
	value, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || len(digits) != 6 {
		t.Fatalf("%q is no colour", colour)
	}
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(value>>(16-8*i)&0xff) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
