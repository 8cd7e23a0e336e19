package upload

import (
	"fmt"
	"testing"
)

// BenchmarkObject measures the way from Write to a complete object: throughput of the whole, and
// allocations, which belong to the requests and not to the bytes.
func BenchmarkObject(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 20, 512 << 20} {
		b.Run(fmt.Sprint(Size(size)), func(b *testing.B) {
			l := newLake(b, func(c *Config) { c.PartSize, c.Memory = 8*mib, 32*mib })
			chunk := pattern(min(size, 64<<10))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				object, err := l.Create(b.Context(), fmt.Sprintf("bench/%d.csv", i), owner("job", 1), unguarded)
				if err != nil {
					b.Fatal(err)
				}
				for range size / len(chunk) {
					if _, err := object.Write(chunk); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := object.Complete(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
		})
	}
}
