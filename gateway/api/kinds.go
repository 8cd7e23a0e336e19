package api

import (
	"slices"
	"strings"

	"github.com/pharmavida/ingesta/gateway/jobs"
)

// Language is one that the kinds of problems are told in, as HTTP names it.
type Language string

// The languages.
const (
	English Language = "en"
	Spanish Language = "es"
)

// Kind is a kind of problem, as people read of it.
type Kind struct {
	Type   string    `json:"type"` // the path of its page, and the type of every such problem
	Code   jobs.Code `json:"code"`
	Title  string    `json:"title"`
	Status int       `json:"status"`
	Means  string    `json:"means"`
	Why    string    `json:"why"`
	Do     string    `json:"do"`
}

// Kinds lists every kind of problem in the order of the codes.
func Kinds(language Language) []Kind {
	var kinds []Kind
	for code, c := range classes {
		told := explanations[code].english
		told.title = c.title
		if language == Spanish {
			told = explanations[code].spanish
		}
		kinds = append(kinds, Kind{
			Type: problemPath(code), Code: code, Title: told.title, Status: c.status,
			Means: told.means, Why: told.why, Do: told.do,
		})
	}
	slices.SortFunc(kinds, func(a, b Kind) int { return strings.Compare(string(a.Code), string(b.Code)) })
	return kinds
}

// problemPath returns the path of the page about a kind of problem.
func problemPath(code jobs.Code) string { return "/problems/" + string(code) }

// explanation tells of a kind of problem in each language.
type explanation struct{ english, spanish text }

// text is what a page says. The English title stands in the table of classes.
type text struct{ title, means, why, do string }

// explanations has an entry for every code of the table of classes.
var explanations = map[jobs.Code]explanation{
	malformedBody: {
		text{
			means: "The body is not one well-formed JSON text in UTF-8.",
			why:   "A bracket, quote or comma is missing or too many, the text is in another encoding, or the body ended before its announced length.",
			do:    "Correct the place that the detail names. A body is never needed: without one, everything is exported.",
		},
		text{
			title: "El cuerpo no es JSON bien formado",
			means: "El cuerpo no es un único texto JSON bien formado en UTF-8.",
			why:   "Falta o sobra un corchete, una comilla o una coma, el texto está en otra codificación, o el cuerpo terminó antes de la longitud anunciada.",
			do:    "Corrija el lugar que indica el detalle. El cuerpo nunca es necesario: sin él se exporta todo.",
		},
	},
	invalidBody: {
		text{
			means: "The body is JSON, but not of the form that this operation takes.",
			why:   "A field has another type or value than it may have, is given twice, or does not exist. Unknown fields are refused, because a misspelled one would otherwise be ignored in silence.",
			do:    "See the list of errors: each has a JSON pointer to the part at fault. The contract at /docs shows the form.",
		},
		text{
			title: "El cuerpo no tiene la forma esperada",
			means: "El cuerpo es JSON, pero no de la forma que acepta esta operación.",
			why:   "Un campo tiene un tipo o un valor no permitido, aparece dos veces, o no existe. Los campos desconocidos se rechazan, porque uno mal escrito pasaría inadvertido.",
			do:    "Vea la lista de errores: cada uno tiene un puntero JSON a la parte en falta. El contrato en /docs muestra la forma.",
		},
	},
	invalidParameter: {
		text{
			means: "A parameter of the query string has a value that it may not have.",
			why:   "It is out of range, misspelled, given twice, or the query string is not well-formed.",
			do:    "See the list of errors: each names the parameter and what it may be.",
		},
		text{
			title: "Un parámetro de la consulta no es válido",
			means: "Un parámetro de la URL tiene un valor no permitido.",
			why:   "Está fuera de rango, mal escrito, repetido, o la consulta no está bien formada.",
			do:    "Vea la lista de errores: cada uno nombra el parámetro y lo que puede ser.",
		},
	},
	invalidHeader: {
		text{
			means: "A header of the request has a value that it may not have.",
			why:   "Mostly an Idempotency-Key that is empty, longer than 255 characters, given twice, or has characters that are not visible ASCII.",
			do:    "Send the header that the errors name once, in the form they ask for. A UUID is always a good key.",
		},
		text{
			title: "Una cabecera no es válida",
			means: "Una cabecera de la petición tiene un valor no permitido.",
			why:   "Casi siempre es una Idempotency-Key vacía, de más de 255 caracteres, repetida, o con caracteres que no son ASCII visible.",
			do:    "Envíe una sola vez la cabecera que nombran los errores, en la forma que piden. Un UUID siempre es una buena clave.",
		},
	},
	jobs.InvalidCursor: {
		text{
			means: "The cursor is not one that this service gave out.",
			why:   "It was cut off, changed, or made by hand.",
			do:    "List again without a cursor, and follow the Link with rel=\"next\" of each page.",
		},
		text{
			title: "El cursor no es válido",
			means: "El cursor no es uno que haya entregado este servicio.",
			why:   "Fue cortado, modificado o escrito a mano.",
			do:    "Liste de nuevo sin cursor y siga el Link con rel=\"next\" de cada página.",
		},
	},
	unauthenticated: {
		text{
			means: "The service does not know who is asking.",
			why:   "There is no bearer token, or it is not a good one: expired, of another issuer or audience, or signed with a key that is not known here.",
			do:    "Get a fresh token from the identity provider and send it as Authorization: Bearer …, or log in to the dashboard again. The header WWW-Authenticate says what is wrong with the token.",
		},
		text{
			title: "No se sabe quién llama",
			means: "El servicio no sabe quién hace la petición.",
			why:   "No hay token, o no es bueno: ha caducado, es de otro emisor o para otra audiencia, o está firmado con una clave que aquí no se conoce.",
			do:    "Pida un token nuevo al proveedor de identidad y envíelo como Authorization: Bearer …, o vuelva a entrar en el panel. La cabecera WWW-Authenticate dice qué le falta al token.",
		},
	},
	insufficientScope: {
		text{
			means: "The token is good, but does not allow this.",
			why:   "Reading needs the scope ingesta:read, starting and ending jobs needs ingesta:run; ingesta:admin allows everything.",
			do:    "Ask whoever gives out the tokens for one with the scope that the detail names.",
		},
		text{
			title: "Quien llama no puede hacer esto",
			means: "El token es bueno, pero no permite esto.",
			why:   "Para leer hace falta el permiso ingesta:read, para iniciar y terminar trabajos ingesta:run; ingesta:admin lo permite todo.",
			do:    "Pida a quien emite los tokens uno con el permiso que nombra el detalle.",
		},
	},
	notFound: {
		text{
			means: "No route of this service has this path.",
			why:   "The path is misspelled, or of another version of the service.",
			do:    "/docs shows every route; GET / lists them for programs, which ask for Accept: application/json.",
		},
		text{
			title: "Aquí no hay nada",
			means: "Ninguna ruta de este servicio tiene este camino.",
			why:   "Está mal escrito, o es de otra versión del servicio.",
			do:    "/docs muestra todas las rutas; GET / las lista para los programas, que piden Accept: application/json.",
		},
	},
	jobs.NotFound: {
		text{
			means: "There is no job of this id.",
			why:   "The id is misspelled, or the job ended so long ago that it is forgotten. Its files and its manifest stay in S3.",
			do:    "List the jobs to find the one that is meant. For an old one, read its manifest at {database}/_manifests/{job id}.json in the bucket.",
		},
		text{
			title: "No existe ese trabajo",
			means: "No hay ningún trabajo con este identificador.",
			why:   "El identificador está mal escrito, o el trabajo terminó hace tanto que ya se olvidó. Sus archivos y su manifiesto siguen en S3.",
			do:    "Liste los trabajos para encontrar el que busca. Si es antiguo, lea su manifiesto {database}/_manifests/{job id}.json en el bucket.",
		},
	},
	jobs.UnknownDatabase: {
		text{
			means: "The catalog of this gateway has no such database.",
			why:   "The name is misspelled, or the gateway was started with another catalog.",
			do:    "Use one of the names that the answer lists as known.",
		},
		text{
			title: "No existe esa base de datos",
			means: "El catálogo de este servicio no tiene esa base de datos.",
			why:   "El nombre está mal escrito, o el servicio se inició con otro catálogo.",
			do:    "Use uno de los nombres que la respuesta da como conocidos.",
		},
	},
	methodNotAllowed: {
		text{
			means: "The path exists, but does not take this method.",
			why:   "Ingestions are asked for with POST, everything that only looks is GET.",
			do:    "Use one of the methods that the header Allow lists.",
		},
		text{
			title: "Aquí no se permite ese método",
			means: "La ruta existe, pero no acepta este método.",
			why:   "Las ingestas se piden con POST; todo lo que solo mira es GET.",
			do:    "Use uno de los métodos que lista la cabecera Allow.",
		},
	},
	bodyTimeout: {
		text{
			means: "The body did not arrive within the time that the server waits for it.",
			why:   "The connection is slow or broken, or the client announced a longer body than it sent.",
			do:    "Send the request again.",
		},
		text{
			title: "El cuerpo no llegó a tiempo",
			means: "El cuerpo no llegó en el tiempo que el servidor lo espera.",
			why:   "La conexión es lenta o está rota, o el cliente anunció un cuerpo más largo que el que envió.",
			do:    "Envíe la petición de nuevo.",
		},
	},
	jobs.Over: {
		text{
			means: "The job is in one of its four last states, and no job leaves those.",
			why:   "It ended before the request to cancel it came.",
			do:    "Look at the job. To export again, ask for a new job; what a failed or cancelled one left undone, a retry does.",
		},
		text{
			title: "El trabajo ya terminó",
			means: "El trabajo está en uno de sus cuatro estados finales, y de esos no se sale.",
			why:   "Terminó antes de que llegara la petición de cancelarlo.",
			do:    "Mire el trabajo. Para exportar otra vez, pida uno nuevo; lo que dejó sin hacer uno fallido o cancelado lo hace un reintento.",
		},
	},
	bodyTooLarge: {
		text{
			means: "The body has more than 1 MiB.",
			why:   "No request of this service needs more than a list of names.",
			do:    "Name fewer datasets, or none to export them all.",
		},
		text{
			title: "El cuerpo es demasiado grande",
			means: "El cuerpo tiene más de 1 MiB.",
			why:   "Ninguna petición de este servicio necesita más que una lista de nombres.",
			do:    "Nombre menos conjuntos de datos, o ninguno para exportarlos todos.",
		},
	},
	unsupportedMediaType: {
		text{
			means: "The body is not announced as JSON in UTF-8, or it is compressed.",
			why:   "The header Content-Type names another type, as command-line tools do for forms, or there is a Content-Encoding.",
			do:    "Send Content-Type: application/json, or no body at all.",
		},
		text{
			title: "El cuerpo no es JSON",
			means: "El cuerpo no se anuncia como JSON en UTF-8, o está comprimido.",
			why:   "La cabecera Content-Type nombra otro tipo, como hacen las herramientas de consola con los formularios, o hay un Content-Encoding.",
			do:    "Envíe Content-Type: application/json, o ningún cuerpo.",
		},
	},
	jobs.NotOver: {
		text{
			means: "Only a job that is over can be done once more.",
			why:   "It is still queued or running.",
			do:    "Wait for its end, or cancel it first.",
		},
		text{
			title: "El trabajo no ha terminado",
			means: "Solo se puede repetir un trabajo que ya terminó.",
			why:   "Todavía está en cola o en ejecución.",
			do:    "Espere a que termine, o cancélelo antes.",
		},
	},
	jobs.Succeeded: {
		text{
			means: "The job has left nothing undone.",
			why:   "All its datasets are in S3.",
			do:    "To export the same again, ask for a new job.",
		},
		text{
			title: "El trabajo terminó con éxito",
			means: "El trabajo no dejó nada sin hacer.",
			why:   "Todos sus conjuntos de datos están en S3.",
			do:    "Para exportar lo mismo otra vez, pida un trabajo nuevo.",
		},
	},
	jobs.DatabaseGone: {
		text{
			means: "The job is of a database that the catalog does not have any more.",
			why:   "The gateway was started with another catalog since the job was made.",
			do:    "Give the gateway a catalog that has the database, or ask for a new job of one that it knows.",
		},
		text{
			title: "El catálogo no tiene la base de datos",
			means: "El trabajo es de una base de datos que el catálogo ya no tiene.",
			why:   "El servicio se inició con otro catálogo después de crearse el trabajo.",
			do:    "Dé al servicio un catálogo que tenga la base de datos, o pida un trabajo nuevo de una que conozca.",
		},
	},
	jobs.DatasetGone: {
		text{
			means: "The job is to export a dataset that the catalog does not have any more.",
			why:   "The gateway was started with another catalog since the job was made.",
			do:    "Give the gateway a catalog that has the dataset, or ask for a new job of those there are.",
		},
		text{
			title: "El catálogo no tiene un conjunto de datos",
			means: "El trabajo debe exportar un conjunto de datos que el catálogo ya no tiene.",
			why:   "El servicio se inició con otro catálogo después de crearse el trabajo.",
			do:    "Dé al servicio un catálogo que lo tenga, o pida un trabajo nuevo con los que hay.",
		},
	},
	jobs.LetterNotFound: {
		text{
			means: "No dead letter within reach has this id.",
			why:   "It was replayed or purged, became too old, or is not among the 200 oldest.",
			do:    "List the dead letters again. A letter that was replayed made a job: look for it in the list of jobs.",
		},
		text{
			title: "No existe esa carta muerta",
			means: "Ninguna carta muerta al alcance tiene este identificador.",
			why:   "Ya se repitió o se borró, caducó, o no está entre las 200 más antiguas.",
			do:    "Liste de nuevo las cartas muertas. La que se repitió creó un trabajo: búsquelo en la lista de trabajos.",
		},
	},
	jobs.LetterUnreadable: {
		text{
			means: "The dead letter holds no command that this version can read, so there is nothing to replay.",
			why:   "Something else was published into a queue of commands, or a newer version of the gateway wrote it.",
			do:    "Look at the letter in RabbitMQ's management page. If a newer version wrote it, replay it there; otherwise find its sender and purge it.",
		},
		text{
			title: "La carta muerta no contiene una orden",
			means: "La carta muerta no contiene una orden que esta versión sepa leer, así que no hay nada que repetir.",
			why:   "Se publicó otra cosa en una cola de órdenes, o la escribió una versión más nueva del servicio.",
			do:    "Mire la carta en la página de administración de RabbitMQ. Si la escribió una versión más nueva, repítala allí; si no, busque a quien la envió y bórrela.",
		},
	},
	jobs.LettersBusy: {
		text{
			means: "Others are reading the dead letters, and only one can at a time.",
			why:   "Letters that one reader holds are hidden from the next.",
			do:    "Try again in a second.",
		},
		text{
			title: "Las cartas muertas están en uso",
			means: "Otros están leyendo las cartas muertas, y solo puede hacerlo uno a la vez.",
			why:   "Las cartas que tiene un lector quedan ocultas para el siguiente.",
			do:    "Inténtelo de nuevo en un segundo.",
		},
	},
	jobs.UnknownDataset: {
		text{
			means: "The database has no dataset of a name that the body lists.",
			why:   "The name is misspelled, of another database, or the name of a table instead of that of a dataset.",
			do:    "Use the names that the answer lists as known, or see GET /api/ingesta/datasets.",
		},
		text{
			title: "No existe ese conjunto de datos",
			means: "La base de datos no tiene un conjunto de datos con un nombre que aparece en el cuerpo.",
			why:   "El nombre está mal escrito, es de otra base de datos, o es el de una tabla y no el de un conjunto.",
			do:    "Use los nombres que la respuesta da como conocidos, o vea GET /api/ingesta/datasets.",
		},
	},
	jobs.DuplicateDataset: {
		text{
			means: "The list of datasets has a name twice.",
			why:   "Each dataset of a job makes one file.",
			do:    "Name each dataset once.",
		},
		text{
			title: "Un conjunto de datos aparece dos veces",
			means: "La lista de conjuntos de datos repite un nombre.",
			why:   "Cada conjunto de datos de un trabajo produce un archivo.",
			do:    "Nombre cada conjunto una sola vez.",
		},
	},
	jobs.NoDatasets: {
		text{
			means: "The list of datasets is there, but empty.",
			why:   "A list that was filled by a program may have found nothing; that it means everything would be a guess.",
			do:    "Leave datasets out to export all of the database, or name at least one.",
		},
		text{
			title: "No se nombra ningún conjunto de datos",
			means: "La lista de conjuntos de datos está, pero vacía.",
			why:   "Una lista que llenó un programa pudo no encontrar nada; suponer que significa todo sería adivinar.",
			do:    "Omita datasets para exportar toda la base de datos, o nombre al menos uno.",
		},
	},
	jobs.IdempotencyMismatch: {
		text{
			means: "This Idempotency-Key was used within the last 24 hours for a request that asked for something else.",
			why:   "A key stands for one request. The same key with another body, database or job is a mistake of the client.",
			do:    "Use a new key for a new request, and the old key only to repeat the old request as it was.",
		},
		text{
			title: "La clave de idempotencia es de otra petición",
			means: "Esta Idempotency-Key se usó en las últimas 24 horas para una petición que pedía otra cosa.",
			why:   "Una clave representa una petición. La misma clave con otro cuerpo, base de datos o trabajo es un error del cliente.",
			do:    "Use una clave nueva para una petición nueva, y la anterior solo para repetir la anterior tal como fue.",
		},
	},
	jobs.StoreUnavailable: {
		text{
			means: "Redis, which holds the jobs, does not answer.",
			why:   "It is down, restarting, or cannot be reached from the gateway.",
			do:    "Try again after the time in Retry-After, best with an Idempotency-Key. Operators find out more at /api/ingesta/health. Running exports go on meanwhile.",
		},
		text{
			title: "Redis no está disponible",
			means: "Redis, que guarda los trabajos, no responde.",
			why:   "Está caído, reiniciándose, o no se puede alcanzar desde el servicio.",
			do:    "Inténtelo de nuevo pasado el tiempo de Retry-After, mejor con una Idempotency-Key. El operador verá más en /api/ingesta/health. Las exportaciones en curso continúan.",
		},
	},
	jobs.BrokerUnavailable: {
		text{
			means: "RabbitMQ, which carries commands to the workers, takes no messages. No job was made.",
			why:   "It is down, short of memory or disk, or cannot be reached from the gateway.",
			do:    "Try again after the time in Retry-After. Operators find out more at /ready and /api/ingesta/health.",
		},
		text{
			title: "RabbitMQ no está disponible",
			means: "RabbitMQ, que lleva las órdenes a los trabajadores, no acepta mensajes. No se creó ningún trabajo.",
			why:   "Está caído, sin memoria o disco, o no se puede alcanzar desde el servicio.",
			do:    "Inténtelo de nuevo pasado el tiempo de Retry-After. El operador verá más en /ready y /api/ingesta/health.",
		},
	},
	jobs.Unconfirmed: {
		text{
			means: "The job exists and will run unless it is cancelled, but RabbitMQ has not confirmed its command yet.",
			why:   "The connection to RabbitMQ broke, or it was too slow, at the very moment between the two.",
			do:    "Follow the jobs that job_ids names, or repeat the request with the same Idempotency-Key, which is safe. Without a key, a repetition makes a second job.",
		},
		text{
			title: "El trabajo está registrado pero no confirmado",
			means: "El trabajo existe y se ejecutará si no se cancela, pero RabbitMQ aún no ha confirmado su orden.",
			why:   "La conexión con RabbitMQ se rompió, o fue demasiado lenta, justo entre lo uno y lo otro.",
			do:    "Siga los trabajos que nombra job_ids, o repita la petición con la misma Idempotency-Key, que es seguro. Sin clave, repetir crea un segundo trabajo.",
		},
	},
	authUnavailable: {
		text{
			means: "The token may well be good, but the gateway cannot tell at present.",
			why:   "The keys of the identity provider cannot be fetched.",
			do:    "Try again after the time in Retry-After. Operators check AUTH_JWKS_URL and the way to it.",
		},
		text{
			title: "No se pueden comprobar los tokens",
			means: "El token puede ser bueno, pero el servicio no puede saberlo por ahora.",
			why:   "No se pueden obtener las claves del proveedor de identidad.",
			do:    "Inténtelo de nuevo pasado el tiempo de Retry-After. El operador debe revisar AUTH_JWKS_URL y el camino hasta ella.",
		},
	},
	notReady: {
		text{
			means: "The gateway could not accept a job now.",
			why:   "Redis, RabbitMQ or the keys for tokens are not within reach, or the gateway is about to stop. The detail says which.",
			do:    "Load balancers send requests elsewhere meanwhile. Operators find out more at /api/ingesta/health.",
		},
		text{
			title: "El servicio no está listo",
			means: "El servicio no podría aceptar un trabajo en este momento.",
			why:   "Redis, RabbitMQ o las claves de los tokens no están al alcance, o el servicio se está deteniendo. El detalle dice cuál.",
			do:    "Los balanceadores envían las peticiones a otro sitio mientras tanto. El operador verá más en /api/ingesta/health.",
		},
	},
	clientGone: {
		text{
			means: "The client hung up before the answer was ready. Nobody receives this answer; it stands in logs and metrics.",
			why:   "The client, or a proxy on the way, has a shorter timeout than it asked the service to wait.",
			do:    "What was asked for is done all the same or not at all. Look at the list of jobs, or repeat the request with the same Idempotency-Key.",
		},
		text{
			title: "El cliente colgó",
			means: "El cliente colgó antes de que la respuesta estuviera lista. Nadie la recibe; queda en los registros y en las métricas.",
			why:   "El cliente, o un proxy en el camino, tiene un plazo más corto que el que pidió esperar.",
			do:    "Lo pedido se hace del todo o no se hace. Mire la lista de trabajos, o repita la petición con la misma Idempotency-Key.",
		},
	},
	internalError: {
		text{
			means: "The gateway met a condition that it does not know. This is a defect.",
			why:   "Only its log can tell.",
			do:    "Give the request_id to those who run the service: the log has the cause under it.",
		},
		text{
			title: "El servicio falló",
			means: "El servicio encontró una condición que no conoce. Es un defecto.",
			why:   "Solo su registro puede decirlo.",
			do:    "Dé el request_id a quienes operan el servicio: el registro tiene la causa bajo ese identificador.",
		},
	},
	jobs.Conflicting: {
		text{
			means: "The same work is queued or running already, and the request asked to be refused in that case.",
			why:   "on_conflict is reject, and a job of the same database, datasets and catalog is not over yet.",
			do:    "Follow the jobs that job_ids and the Link headers name. To share such a job instead of being refused, ask with on_conflict: join.",
		},
		text{
			title: "Ya hay un trabajo que hace lo mismo",
			means: "El mismo trabajo ya está en cola o en ejecución, y la petición pidió ser rechazada en ese caso.",
			why:   "on_conflict es reject, y un trabajo de la misma base de datos, los mismos conjuntos y el mismo catálogo no ha terminado.",
			do:    "Siga los trabajos que nombran job_ids y las cabeceras Link. Para compartir ese trabajo en vez de ser rechazado, pida con on_conflict: join.",
		},
	},
	datasetNotFound: {
		text{
			means: "There is no dataset of this name in this place.",
			why:   "The name is misspelled, or the job was asked for other datasets.",
			do:    "Use a name that the answer lists as known, one of the job's results, or one of GET /api/ingesta/datasets.",
		},
		text{
			title: "No existe ese conjunto de datos aquí",
			means: "Aquí no hay ningún conjunto de datos con este nombre.",
			why:   "El nombre está mal escrito, o al trabajo se le pidieron otros conjuntos.",
			do:    "Use un nombre que la respuesta dé como conocido, uno de los resultados del trabajo, o uno de GET /api/ingesta/datasets.",
		},
	},
	datasetNotDone: {
		text{
			means: "The dataset has no file to download.",
			why:   "It is still being exported, or its export failed, or the job was cancelled.",
			do:    "Look at the job: when the dataset is done, ask again. When it failed, the job says why, and a retry exports it once more.",
		},
		text{
			title: "El conjunto de datos no está terminado",
			means: "El conjunto de datos no tiene un archivo que descargar.",
			why:   "Todavía se está exportando, su exportación falló, o el trabajo se canceló.",
			do:    "Mire el trabajo: cuando el conjunto esté terminado, pídalo de nuevo. Si falló, el trabajo dice por qué, y un reintento lo exporta otra vez.",
		},
	},
	downloadsUnavailable: {
		text{
			means: "This gateway cannot make links to files.",
			why:   "It was started without the settings of S3, it finds no credentials, or the file lies in another bucket than the one it knows. The detail says which.",
			do:    "Read the file with any S3 client: its address is the url of the dataset in the job. Operators set AWS_BUCKET_NAME, and credentials, for the gateway.",
		},
		text{
			title: "Las descargas no están disponibles",
			means: "Este servicio no puede crear enlaces a los archivos.",
			why:   "Se inició sin los ajustes de S3, no encuentra credenciales, o el archivo está en otro bucket que el que conoce. El detalle dice cuál es el caso.",
			do:    "Lea el archivo con cualquier cliente de S3: su dirección es la url del conjunto en el trabajo. El operador debe dar al servicio AWS_BUCKET_NAME y credenciales.",
		},
	},
	datasetNeverExported: {
		text{
			means: "The types of the dataset's columns are not known yet, so no statement can be written.",
			why:   "No job has exported it since the service can remember, or none since the key template was changed; the types are those of an export.",
			do:    "Export it once, then ask again.",
		},
		text{
			title: "El conjunto de datos nunca se ha exportado",
			means: "Aún no se conocen los tipos de las columnas, así que no se puede escribir la sentencia.",
			why:   "Ningún trabajo lo ha exportado desde que el servicio recuerda, o desde que se cambió la plantilla de claves; los tipos son los de una exportación.",
			do:    "Expórtelo una vez y pida de nuevo.",
		},
	},
	crossOrigin: {
		text{
			means: "A browser sent this request from a page of another site, and nothing was done.",
			why:   "Requests that change something are taken only from the service's own pages, from origins that it was told to trust, and from programs that are no browsers.",
			do:    "Open the dashboard at its own address. Operators add the origin of a page that may do this to the configured CORS origins.",
		},
		text{
			title: "La petición viene de otro origen",
			means: "Un navegador envió esta petición desde la página de otro sitio, y no se hizo nada.",
			why:   "Las peticiones que cambian algo solo se aceptan desde las páginas del propio servicio, desde los orígenes en que se le dijo confiar, y de programas que no son navegadores.",
			do:    "Abra el panel en su propia dirección. El operador puede añadir el origen de una página autorizada a los orígenes CORS configurados.",
		},
	},
	rateLimited: {
		text{
			means: "The caller has asked more often than it may.",
			why:   "Each caller has an allowance for each kind of request, which fills up again with time. RateLimit and RateLimit-Policy tell how much.",
			do:    "Wait for the time in Retry-After. Instead of polling in a loop, wait with Prefer: wait=N or follow the job's events.",
		},
		text{
			title: "Demasiadas peticiones",
			means: "Quien llama ha pedido más veces de las que puede.",
			why:   "Cada quien tiene un cupo por clase de petición, que se recupera con el tiempo. RateLimit y RateLimit-Policy dicen cuánto.",
			do:    "Espere el tiempo de Retry-After. En vez de preguntar en bucle, espere con Prefer: wait=N o siga los eventos del trabajo.",
		},
	},
}
