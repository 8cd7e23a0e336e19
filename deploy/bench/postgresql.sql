-- A table of productos as PharmaVida's, with {{rows}} rows of about 143 bytes of CSV each.
-- The key comes after the rows: that is faster.

DROP TABLE IF EXISTS {{table}};

CREATE TABLE {{table}} (
    id                  integer NOT NULL,
    nombre              varchar(255) NOT NULL,
    tipo                varchar(100),
    precio              double precision,
    stock               integer,
    requiere_receta     boolean,
    fecha_creacion      timestamp,
    fecha_actualizacion timestamp
);

INSERT INTO {{table}}
SELECT
    i,
    nombres[1 + i % cardinality(nombres)] || ' ' || formas[1 + i / 7 % cardinality(formas)]
        || ', ' || laboratorios[1 + i / 3 % cardinality(laboratorios)] || ', lote ' || lpad((i::bigint * 7919 % 1000000)::text, 6, '0')
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
FROM generate_series(1, {{rows}}) AS i,
    (SELECT
        ARRAY['Paracetamol', 'Ibuprofeno', 'Amoxicilina', 'Loratadina', 'Omeprazol', 'Ácido fólico', 'Jarabe "Niños Sanos"',
              'Ranitidina', 'Losartán', 'Metformina', 'Salbutamol', 'Vitamina C', 'Suero fisiológico', 'Clotrimazol',
              'Crema dental O''Clean', 'Pañales Bebé', 'Champú anticaspa', 'Protector solar "Playa, Sol & Mar"', 'Termómetro digital',
              'Alcohol 70°'] AS nombres,
        ARRAY['500 mg x 10 tabletas', '120 mL, jarabe', '1 g, ampolla', 'caja x 20', 'crema 1 % 30 g', '850 mg, blíster x 10',
              'inhalador 100 µg', 'sobre 5 g'] AS formas,
        ARRAY['Laboratorios Andinos', 'Farmacéutica del Sur', 'Genéricos Unidos', 'Química Rímac', 'Instituto Nacional'] AS laboratorios,
        ARRAY['Analgésico', 'Antibiótico', 'Antihistamínico', 'Gastrointestinal', 'Cuidado personal, bebé', 'Vitaminas',
              'Dermatología', 'Cardiología', ''] AS tipos) AS palabras;

ALTER TABLE {{table}} ADD PRIMARY KEY (id);
