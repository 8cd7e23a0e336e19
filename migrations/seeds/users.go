package seeds

// The email addresses of the users.
const (
	juan  = "juan.perez@example.com"
	maria = "maria.lopez@example.com"
	ana   = "admin@flowlite.com"
	pedro = "pedro.gomez@example.com"
)

// person is a user and what is known about them.
type person struct {
	email, username, password, role string
	active                          bool

	nombre, apellido                    string
	telefono, direccion, identificacion string
}

var people = []person{
	{
		email: juan, username: "juan.perez", password: "password123", role: user, active: true,
		nombre: "Juan", apellido: "Pérez", telefono: "+57 300 555 0101",
		direccion: "Calle 45 # 23-10, Medellín", identificacion: "1000000101",
	},
	{
		email: maria, username: "maria.lopez", password: "password123", role: premium, active: true,
		nombre: "María", apellido: "López", telefono: "+57 310 555 0102",
		direccion: "Carrera 7 # 71-52, Bogotá", identificacion: "1000000102",
	},
	{
		email: ana, username: "admin", password: "admin123", role: admin, active: true,
		nombre: "Ana", apellido: "Muñoz", telefono: "+57 320 555 0103",
		direccion: "Avenida 6 Norte # 25-08, Cali", identificacion: "1000000103",
	},
	{
		email: pedro, username: "pedro.gomez", password: "password123", role: user, active: false,
		nombre: "Pedro", apellido: "Gómez", telefono: "+57 315 555 0104",
		direccion: "Calle 84 # 51B-30, Barranquilla", identificacion: "1000000104",
	},
}
