package seeds

import (
	"strings"
	"time"
)

// reference is the day from which all dates count back. It is fixed, so that the data is.
var reference = time.Date(2026, time.October, 31, 0, 0, 0, 0, time.UTC)

// ago returns the time of day, as "15:04", so many days before the reference, as the database
// writes it.
func ago(days int, clock string) string {
	return reference.AddDate(0, 0, -days).Format(time.DateOnly) + " " + clock + ":00"
}

// The states of a batch.
const (
	pending    = "pending"
	processing = "processing"
	completed  = "completed"
	failed     = "error"
)

// statement is a bank statement that a user has uploaded: a batch and its transactions.
type statement struct {
	name   string // tells it from the user's others
	user   string // email address
	bank   string
	status string

	days  int    // how long ago it was uploaded
	start string // time of that day
	end   string // time of the same day at which it was done; empty while it is not
	size  int    // its transactions, those that are not read yet too

	transactions []transaction
}

// transaction is a line of a statement.
type transaction struct {
	days     int // how long ago
	clock    string
	category string
	name     string // as the bank prints it
	value    string // pesos; an expense is negative
}

// kind returns the type of the transaction.
func (t transaction) kind() string {
	if strings.HasPrefix(t.value, "-") {
		return "expense"
	}
	return "income"
}

var statements = []statement{
	{
		name: "agosto", user: juan, bank: bancolombia, status: completed, days: 59, start: "08:15", end: "08:16", size: 11,
		transactions: []transaction{
			{92, "07:02", ingresos, "PAGO NOMINA TEXTILES DEL VALLE", "4200000.00"},
			{91, "09:30", vivienda, "ARRIENDO APTO LAURELES", "-1350000.00"},
			{88, "18:44", mercado, "EXITO LAURELES", "-286450.00"},
			{86, "12:51", restaurantes, "CREPES Y WAFFLES EL TESORO", "-74900.00"},
			{83, "06:58", transporte, "TERPEL LA 33", "-120000.00"},
			{80, "10:20", servicios, "EPM SERVICIOS PUBLICOS", "-218730.00"},
			{78, "21:15", entretenimiento, "NETFLIX COM", "-44900.00"},
			{75, "16:05", efectivo, "RETIRO CAJERO SAN DIEGO", "-300000.00"},
			{72, "11:40", salud, "DROGUERIA PASTEUR", "-58200.00"},
			{68, "08:00", obligaciones, "CUOTA TARJETA VISA", "-410000.00"},
			{64, "19:22", mercado, "D1 ESTADIO", "-97350.00"},
		},
	},
	{
		name: "septiembre", user: juan, bank: bancolombia, status: completed, days: 29, start: "08:05", end: "08:07", size: 11,
		transactions: []transaction{
			{61, "07:01", ingresos, "PAGO NOMINA TEXTILES DEL VALLE", "4200000.00"},
			{60, "09:31", vivienda, "ARRIENDO APTO LAURELES", "-1350000.00"},
			{57, "18:20", mercado, "EXITO LAURELES", "-312800.00"},
			{54, "13:05", restaurantes, "EL RANCHERITO", "-96500.00"},
			{52, "07:10", transporte, "RECARGA CIVICA METRO", "-60000.00"},
			{49, "10:18", servicios, "EPM SERVICIOS PUBLICOS", "-231460.00"},
			{47, "21:15", entretenimiento, "NETFLIX COM", "-44900.00"},
			{44, "20:40", entretenimiento, "CINE COLOMBIA VIVA", "-52000.00"},
			{40, "08:00", obligaciones, "CUOTA TARJETA VISA", "-410000.00"},
			{36, "15:33", educacion, "CURSO EXCEL EAFIT", "-380000.00"},
			{33, "23:59", ingresos, "ABONO INTERESES AHORROS", "3218.47"},
		},
	},
	{
		name: "octubre", user: juan, bank: nequi, status: processing, days: 0, start: "09:40", size: 9,
		transactions: []transaction{
			{28, "12:12", restaurantes, "ENVIO A RESTAURANTE DONDE LUZ", "-18000.00"},
			{24, "17:45", transporte, "UBER TRIP", "-23400.00"},
			{21, "09:09", ingresos, "ENVIO DE CAMILA R", "150000.00"},
			{17, "19:30", mercado, "TIENDA ARA BELEN", "-64780.00"},
		},
	},
	{
		name: "septiembre", user: maria, bank: davivienda, status: completed, days: 27, start: "19:02", end: "19:05", size: 12,
		transactions: []transaction{
			{61, "08:00", ingresos, "TRANSFERENCIA ESTUDIO GRAFICO NORTE", "6850000.00"},
			{60, "08:30", vivienda, "CUOTA ADMINISTRACION EDIFICIO", "-420000.00"},
			{59, "08:31", obligaciones, "CUOTA CREDITO HIPOTECARIO", "-1780000.00"},
			{55, "11:47", mercado, "CARULLA CALLE 72", "-348920.00"},
			{53, "13:20", restaurantes, "ANDRES DC", "-187300.00"},
			{50, "09:55", servicios, "ENEL CODENSA", "-164210.00"},
			{50, "09:57", servicios, "ACUEDUCTO DE BOGOTA", "-98640.00"},
			{46, "07:35", transporte, "TEXACO CALLE 80", "-150000.00"},
			{43, "18:10", salud, "BODYTECH MENSUALIDAD", "-129900.00"},
			{39, "20:00", entretenimiento, "SPOTIFY", "-16900.00"},
			{35, "10:30", educacion, "MATRICULA MAESTRIA CUOTA 2", "-950000.00"},
			{32, "16:16", ingresos, "TRANSFERENCIA CLIENTE LOGO", "1200000.00"},
		},
	},
	{
		name: "octubre", user: maria, bank: bbva, status: completed, days: 6, start: "07:48", end: "07:49", size: 6,
		transactions: []transaction{
			{30, "08:00", ingresos, "TRANSFERENCIA ESTUDIO GRAFICO NORTE", "6850000.00"},
			{26, "12:15", mercado, "ALKOSTO AVENIDA 68", "-1249000.00"},
			{22, "21:05", restaurantes, "RAPPI", "-68400.00"},
			{18, "10:02", efectivo, "RETIRO CAJERO UNICENTRO", "-400000.00"},
			{12, "15:40", salud, "FARMATODO CHICO", "-83750.00"},
			{8, "08:31", obligaciones, "CUOTA CREDITO HIPOTECARIO", "-1780000.00"},
		},
	},
	{name: "octubre", user: maria, bank: bogota, status: pending, days: 0, start: "10:02", size: 18},
	{name: "octubre, hoja equivocada", user: maria, bank: davivienda, status: failed, days: 1, start: "22:30", end: "22:30", size: 0},
	{
		name: "julio", user: pedro, bank: bogota, status: completed, days: 90, start: "14:00", end: "14:01", size: 3,
		transactions: []transaction{
			{115, "07:30", ingresos, "PAGO NOMINA CONSTRUCTORA CARIBE", "2900000.00"},
			{112, "12:00", vivienda, "ARRIENDO EL PRADO", "-900000.00"},
			{104, "17:17", transporte, "PRIMAX VIA 40", "-80000.00"},
		},
	},
}
