package main

import (
	"fmt"
	"strconv"
)

// Size is how much there is of everything.
type Size struct {
	Productos, Ofertas int // PostgreSQL
	Users, Compras     int // MySQL
	Medicos, Recetas   int // MongoDB
}

// sizeConfig scales the data: with Rows, productos, users and compras have so many rows, ofertas a
// third, recetas as many and medicos a third, none fewer than by default. Documents sets recetas apart.
type sizeConfig struct {
	Rows      count `env:"DEMO_ROWS"`
	Documents count `env:"DEMO_DOCUMENTS"`
}

// count is a number of rows; unset is 0.
type count int

// mostRows is as far as the numbers of the MySQL script reach.
const mostRows = 1_000_000_000

// UnmarshalText takes a number from 1 to mostRows.
func (c *count) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 || n > mostRows {
		return fmt.Errorf("%q is not a number from 1 to %d", text, mostRows)
	}
	*c = count(n)
	return nil
}

// mostDocuments bounds recetas under Rows alone: the MongoDB of the local stack takes a few thousand
// documents a second, and millions would make every run a matter of many minutes.
const mostDocuments = 50_000

// size returns how many rows there are to be of each kind.
func (c sizeConfig) size() Size {
	rows, documents := int(c.Rows), int(c.Documents)
	if documents == 0 {
		documents = min(rows, mostDocuments)
	}
	return Size{
		Productos: max(rows, 300), Ofertas: max(rows/3, 100),
		Users: max(rows, 500), Compras: max(rows, 2000),
		Medicos: max(documents/3, 150), Recetas: max(documents, 450),
	}
}
