package docs

import "github.com/labstack/echo/v4"

// What the pages may load and do.
const (
	// textPolicy is of pages that are text and one style sheet.
	textPolicy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

	// viewerPolicy is of Swagger UI and ReDoc, which write styles of their own into the page and draw
	// icons from data. Their scripts come from this service alone, and so does what they ask for.
	viewerPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// secured sets the policy of a page.
func secured(policy string, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := c.Response().Header()
		header.Set(echo.HeaderContentSecurityPolicy, policy)
		header.Set(echo.HeaderReferrerPolicy, "no-referrer")
		return next(c)
	}
}
