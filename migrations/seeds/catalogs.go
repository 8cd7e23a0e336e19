package seeds

// The roles.
const (
	admin   = "ADMIN"
	user    = "USER"
	premium = "PREMIUM_USER"
)

var roles = []string{admin, user, premium}

// The banks.
const (
	bancolombia = "Bancolombia"
	davivienda  = "Davivienda"
	bogota      = "Banco de Bogotá"
	bbva        = "BBVA Colombia"
	nequi       = "Nequi"
)

var banks = []string{bancolombia, davivienda, bogota, bbva, nequi}

// The categories of transactions, spelled as UploadService's classifier gives them out.
const (
	efectivo        = "Retiros_Efectivo"
	restaurantes    = "Alimentacion_Restaurantes"
	mercado         = "Supermercados_Hogar"
	transporte      = "Combustible_Transporte"
	entretenimiento = "Entretenimiento"
	servicios       = "Servicios_Publicos"
	vivienda        = "Vivienda_Arriendo"
	salud           = "Salud_Cuidado_Personal"
	educacion       = "Educacion"
	obligaciones    = "Obligaciones_Financieras"
	ingresos        = "Transferencias_Ingresos"
)

var categories = []string{
	efectivo, restaurantes, mercado, transporte, entretenimiento, servicios, vivienda, salud, educacion, obligaciones, ingresos,
}

// The categories of insights, by the names under which InsightService looks them up.
const (
	ahorro           = "Ahorro"
	presupuesto      = "Presupuesto"
	analisisGastos   = "Análisis de Gastos"
	analisisIngresos = "Análisis de Ingresos"
	tendencias       = "Tendencias"
	alertas          = "Alertas"
)

var insightCategories = []string{ahorro, presupuesto, analisisGastos, analisisIngresos, tendencias, alertas}
