-- PharmaVida's PostgreSQL source, filled by the server itself.
-- {{productos}} and {{ofertas}} are numbers of rows, {{mark}} tells that the load is whole. It runs in
-- one transaction.

DROP TABLE IF EXISTS ofertas_detalle, ofertas, productos;

CREATE TABLE productos (
    id                  serial PRIMARY KEY,
    nombre              varchar(255) NOT NULL,
    tipo                varchar(100),
    precio              double precision,
    stock               integer,
    requiere_receta     boolean,
    fecha_creacion      timestamp DEFAULT now(),
    fecha_actualizacion timestamp
);

CREATE TABLE ofertas (
    id                  serial PRIMARY KEY,
    fecha_vencimiento   timestamp NOT NULL,
    fecha_creacion      timestamp DEFAULT now(),
    fecha_actualizacion timestamp
);

CREATE TABLE ofertas_detalle (
    id          serial PRIMARY KEY,
    oferta_id   integer NOT NULL REFERENCES ofertas (id),
    producto_id integer NOT NULL REFERENCES productos (id),
    descuento   double precision
);

INSERT INTO productos (nombre, tipo, precio, stock, requiere_receta, fecha_creacion, fecha_actualizacion)
SELECT
    nombres[1 + i % cardinality(nombres)] || ' ' || formas[1 + i / 7 % cardinality(formas)]
        || CASE i % 23 WHEN 0 THEN ' 💊' WHEN 7 THEN E'\nVenta con receta médica' WHEN 11 THEN ' «oferta ñandú»' ELSE '' END,
    CASE WHEN i % 19 <> 0 THEN tipos[1 + i % cardinality(tipos)] END,
    CASE WHEN i % 41 <> 0 THEN (i::bigint * 7919 % 25000) / 100.0 + 0.1 END,
    CASE WHEN i % 37 <> 0 THEN (i::bigint * 31 % 500)::integer END,
    CASE WHEN i % 29 <> 0 THEN i % 3 = 0 END,
    timestamp '2024-01-02 08:15:00' + (i::bigint * 61 % 31536000) * interval '1 second',
    CASE i % 11
        WHEN 0 THEN NULL
        WHEN 1 THEN timestamp '2025-03-04 10:20:30.123456' + (i % 86400) * interval '1 second'
        ELSE timestamp '2025-03-04 10:20:30' + (i % 86400) * interval '1 minute'
    END
FROM generate_series(1, {{productos}}) AS i,
    (SELECT
        ARRAY['Paracetamol', 'Ibuprofeno', 'Amoxicilina', 'Loratadina', 'Omeprazol', 'Ácido fólico', 'Jarabe "Niños Sanos"',
              'Ranitidina', 'Losartán', 'Metformina', 'Salbutamol', 'Vitamina C', 'Suero fisiológico', 'Clotrimazol',
              'Crema dental O''Clean', 'Pañales Bebé', 'Champú anticaspa', 'Protector solar "Playa, Sol & Mar"', 'Termómetro digital',
              'Alcohol 70°'] AS nombres,
        ARRAY['500 mg x 10 tabletas', '120 mL, jarabe', '1 g, ampolla', 'caja x 20', 'crema 1 % 30 g', '850 mg, blíster x 10',
              'inhalador 100 µg', 'sobre 5 g'] AS formas,
        ARRAY['Analgésico', 'Antibiótico', 'Antihistamínico', 'Gastrointestinal', 'Cuidado personal, bebé', 'Vitaminas',
              'Dermatología', 'Cardiología', ''] AS tipos) AS palabras;

INSERT INTO ofertas (fecha_vencimiento, fecha_creacion, fecha_actualizacion)
SELECT
    timestamp '2026-12-31 23:59:59' + (i % 365) * interval '1 day',
    timestamp '2025-01-01 00:00:00' + (i % 365) * interval '1 day',
    CASE WHEN i % 6 <> 0 THEN timestamp '2025-06-01 12:00:00.5' + (i % 1000) * interval '1 minute' END
FROM generate_series(1, {{ofertas}}) AS i;

-- None to three details each: every tenth offer has none.
INSERT INTO ofertas_detalle (oferta_id, producto_id, descuento)
SELECT i, 1 + (i::bigint * 13 + j * 101) % {{productos}}, CASE WHEN (i + j) % 17 <> 0 THEN 5 + (i * 3 + j) % 50 + 0.5 * (j % 2) END
FROM generate_series(1, {{ofertas}}) AS i, generate_series(1, 3) AS j
WHERE i % 10 <> 0 AND j <= 1 + i % 3;

CREATE INDEX ON ofertas_detalle (oferta_id);
CREATE INDEX ON ofertas_detalle (producto_id);

COMMENT ON TABLE ofertas_detalle IS '{{mark}}';
