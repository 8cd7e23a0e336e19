package seeds

// insight is what Flowlite has to say to a user.
type insight struct {
	days      int // how long ago it was made
	clock     string
	user      string // email address
	category  string
	relevance int // 1 to 10
	title     string
	text      string
}

var insights = []insight{
	{28, "08:10", juan, analisisGastos, 7, "Tu mercado subió en septiembre",
		"En septiembre gastaste $312.800 en un solo mercado, un 9 % más que tu mercado grande de agosto. Comparar precios entre dos supermercados puede devolverte parte de esa diferencia."},
	{28, "08:10", juan, ahorro, 8, "Puedes apartar $300.000 al mes",
		"Después de arriendo, servicios y tarjeta te queda más de un millón de pesos cada mes. Programa un ahorro automático de $300.000 el día que recibes tu nómina."},
	{28, "08:11", juan, presupuesto, 6, "Un tope para restaurantes y ocio",
		"Entre restaurantes y entretenimiento gastaste $193.400 en septiembre. Un tope de $180.000 al mes te ayuda a no perderlos de vista."},
	{28, "08:11", juan, alertas, 9, "Tu tarjeta se lleva una décima parte de tu nómina",
		"Pagas $410.000 al mes por tu tarjeta, cerca del 10 % de tu salario. Evita nuevas compras a cuotas hasta reducir el saldo."},
	{26, "19:10", maria, analisisIngresos, 7, "Tus ingresos crecieron con un cliente nuevo",
		"Además de tu ingreso habitual recibiste $1.200.000 de un cliente ocasional. Si se repite, separa una parte para los impuestos."},
	{26, "19:10", maria, tendencias, 6, "Tus servicios públicos se mantienen estables",
		"Energía y acueducto sumaron $262.850 en septiembre, dentro de lo que es normal para tu hogar."},
	{5, "07:55", maria, alertas, 10, "Una compra fuera de lo común",
		"El 5 de octubre compraste $1.249.000 en ALKOSTO AVENIDA 68, más de tres veces tu mercado habitual. Si no la reconoces, comunícate con tu banco."},
	{5, "07:55", maria, ahorro, 8, "Adelanta una cuota de tu crédito",
		"Con lo que te sobró este mes podrías abonar a capital. Un abono de $500.000 reduce los intereses del resto del plazo."},
	{5, "07:56", maria, presupuesto, 5, "Efectivo sin rastro",
		"Retiraste $400.000 en un cajero. Anota en qué los gastas: lo que no se registra no entra en tu presupuesto."},
	{89, "14:05", pedro, tendencias, 4, "Aún te conocemos poco",
		"Con un solo extracto no podemos ver tendencias. Sube los de otros dos meses para recibir mejores recomendaciones."},
}
