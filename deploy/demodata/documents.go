package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

var (
	nombres = []string{"José", "María Fernanda", "Ángel", "Sofía", "Iñaki", "Lucía", "Julián", "Belén", "Raúl", "Ximena",
		"Óscar", "Zoë", "Martín", "Rocío", "Wálter", "Milagros", "Édgar", "Inés", "Hernán", "Flor de María"}
	apellidos = []string{"Quispe", "Huamán", "Ñaupari", "Mamani", "Chávez", "Muñoz", "Flores", "De la Cruz", "Núñez", "Salazar",
		"Peña", "Condori", "Ibáñez", "O'Higgins", "Yupanqui", "Güere", "Tello", "Zúñiga", "Ramírez", "Castañeda"}
	especialidades = []string{"Medicina general", "Pediatría", "Cardiología", "Dermatología", "Ginecología y obstetricia",
		"Neurología", "Endocrinología", "Oftalmología", "Medicina interna, UCI", "Psiquiatría", "Geriatría"}
	medicamentos = []string{"Paracetamol 500 mg", "Ibuprofeno 400 mg, caja x 20", "Amoxicilina 500 mg", "Loratadina 10 mg",
		"Omeprazol 20 mg", `Jarabe "Niños Sanos" 120 mL`, "Losartán 50 mg", "Metformina 850 mg", "Salbutamol inhalador",
		"Vitamina C efervescente 🍊", "Suero fisiológico\n0,9 % x 1 L", "Clotrimazol crema 1 %"}
	estados = []string{"PENDIENTE", "VALIDADA", "VALIDADA", "VALIDADA", "RECHAZADA"}

	epoch = time.Date(2024, time.January, 2, 8, 15, 0, 0, time.UTC)
)

// objectID is the same for the same kind and number, and sorts by number.
func objectID(kind byte, i int) bson.ObjectID {
	var id bson.ObjectID
	binary.BigEndian.PutUint32(id[:4], uint32(epoch.Unix()))
	binary.BigEndian.PutUint64(id[4:], uint64(kind)<<56|uint64(i))
	return id
}

func pick(from []string, i int) string { return from[i%len(from)] }

// moment is a point of the last years, with milliseconds: what a BSON date holds.
func moment(i int) time.Time {
	return epoch.Add(time.Duration(i*7919%525_600)*time.Minute + time.Duration(i*37%60_000)*time.Millisecond)
}

func cmp(i int) string { return fmt.Sprintf("%06d", 10_000+i*3) }

// medico is the i-th doctor, counted from 1. Some have no specialty (null), some no updatedAt (missing).
func medico(i int) bson.D {
	doc := bson.D{
		{Key: "_id", Value: objectID(1, i)},
		{Key: "cmp", Value: cmp(i)},
		{Key: "nombre", Value: fmt.Sprintf("%s %s %s", pick(nombres, i*7), pick(apellidos, i*3), pick(apellidos, i*11+i/20))},
	}
	if i%17 == 0 {
		doc = append(doc, bson.E{Key: "especialidad", Value: nil})
	} else {
		doc = append(doc, bson.E{Key: "especialidad", Value: pick(especialidades, i)})
	}
	doc = append(doc,
		bson.E{Key: "colegiaturaValida", Value: i%9 != 0},
		bson.E{Key: "createdAt", Value: moment(i)})
	if i%13 != 0 {
		doc = append(doc, bson.E{Key: "updatedAt", Value: moment(i).Add(36 * time.Hour)})
	}
	return doc
}

// receta is the i-th prescription, counted from 1, of one of so many doctors. It lists none to four
// products; archivoPDF may be null or missing.
func receta(i, medicos int) bson.D {
	productos := bson.A{}
	for j := range i % 5 {
		productos = append(productos, bson.D{
			{Key: "id", Value: int32((i*31+j*17)%300 + 1)},
			{Key: "nombre", Value: pick(medicamentos, i+j*5)},
			{Key: "cantidad", Value: int32((i+j)%6 + 1)},
		})
	}
	doc := bson.D{
		{Key: "_id", Value: objectID(2, i)},
		{Key: "pacienteDNI", Value: fmt.Sprintf("%08d", (i*7_654_321+40_000_000)%90_000_000+1_000_000)},
		{Key: "medicoCMP", Value: cmp(i%max(medicos, 1) + 1)},
		{Key: "fechaEmision", Value: moment(i * 3)},
		{Key: "productos", Value: productos},
	}
	switch i % 8 {
	case 0:
		doc = append(doc, bson.E{Key: "archivoPDF", Value: nil})
	case 1:
	default:
		doc = append(doc, bson.E{Key: "archivoPDF", Value: fmt.Sprintf("recetas/%d/receta_%06d.pdf", moment(i*3).Year(), i)})
	}
	return append(doc,
		bson.E{Key: "estadoValidacion", Value: pick(estados, i)},
		bson.E{Key: "createdAt", Value: moment(i * 3).Add(5 * time.Minute)},
		bson.E{Key: "updatedAt", Value: moment(i * 3).Add(26 * time.Hour)})
}
