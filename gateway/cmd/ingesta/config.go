package main

import (
	"github.com/spf13/cobra"
)

func (t *tool) configCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Show the settings, and where each comes from",
		Long: "Shows the settings that the other commands would use here, and where each comes from. The configuration file\n" +
			"is YAML and may have:\n\n" +
			"  url: https://ingesta.example.com\n" +
			"  token_file: token       # beside the file; or token: …\n" +
			"  output: table",
		Args: unexpected(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			shown := []struct {
				name string
				setting
			}{{"url", t.settings.url}, {"token", t.settings.token}, {"output", t.settings.output}, {"config", t.settings.file}}
			list := newTable("SETTING", "VALUE", "FROM")
			values := map[string]map[string]string{}
			for _, s := range shown {
				if s.name == "token" && s.value != "" {
					s.value = "[redacted]"
				}
				if s.name == "config" && s.value == "" {
					s.value, s.source = "none", "the default"
				}
				values[s.name] = map[string]string{"value": s.value, "from": s.source}
				list.add(text(s.name), text(s.value).or("none"), text(s.source))
			}
			if t.asJSON() {
				return t.printJSON(values)
			}
			return t.print(list)
		},
	}
}
