package main

import (
	"math"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(test.values); got != test.want {
			t.Errorf("median(%v) = %v; want %v", test.values, got, test.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, test := range []struct {
		values []float64
		p      int
		want   float64
	}{
		{nil, 99, 0},
		{[]float64{7}, 99, 7},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
		{[]float64{2, 1, 3}, 99, 3},
	} {
		if got := percentile(test.values, test.p); got != test.want {
			t.Errorf("percentile of %d values at %d: %v; want %v", len(test.values), test.p, got, test.want)
		}
	}
}

func TestFigureIsTheMedianOfTheRoundsRatios(t *testing.T) {
	ours := []measurement{{Seconds: 2, Peak: 50}, {Seconds: 6, Peak: 70}, {Seconds: 4, Peak: 60}}
	ref := []measurement{{Seconds: 1}, {Seconds: 6}, {Seconds: 8}}
	c := benchCase{Quantity: seconds, Ref: "a reference", Bar: 1}
	if got := c.figure(ours, ref); got != 1 { // of 2, 1 and 0.5; the medians' ratio is 4/6
		t.Errorf("figure %v; want 1", got)
	}
	if !c.met(1) || c.met(1.001) {
		t.Error("a bar of 1 is met up to 1, and not above")
	}
	c.AtLeast = true
	if !c.met(1) || c.met(0.999) {
		t.Error("a lowest bar of 1 is met from 1 on, and not below")
	}
	alone := benchCase{Quantity: memory, Bar: 96}
	if got := alone.figure(ours, nil); got != 60 {
		t.Errorf("figure without a reference %v; want the median of ours, 60", got)
	}
}

func TestGrowthSubjectsDifferByTens(t *testing.T) {
	for _, scale := range []float64{1, 0.1, 0.0001} {
		g := newDatasets(scale).growth
		for i := range len(g) - 1 {
			if factor := float64(g[i+1].Rows) / float64(g[i].Rows); math.Abs(factor-10) > 1e-9 {
				t.Errorf("scale %v: %s has %v times the rows of the one before; want 10", scale, g[i+1].Name, factor)
			}
		}
	}
}
