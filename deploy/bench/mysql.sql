-- A table of users as PharmaVida's, with {{rows}} rows of about 87 bytes of CSV each.

DROP TABLE IF EXISTS {{table}};

CREATE TABLE {{table}} (
    id       bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    dni      varchar(255),
    nombre   varchar(255),
    apellido varchar(255),
    email    varchar(255),
    role     varchar(255),
    distrito varchar(255),
    password varchar(255)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

INSERT INTO {{table}}
SELECT
    seq,
    LPAD(1000000 + seq * 7654321 % 89000000, 8, '0'),
    ELT(1 + seq * 7 % 20, 'José', 'María Fernanda', 'Ángel', 'Sofía', 'Iñaki', 'Lucía', 'Julián', 'Belén', 'Raúl', 'Ximena',
        'Óscar', 'Zoë', 'Martín', 'Rocío', 'Wálter', 'Milagros', 'Édgar', 'Inés', 'Hernán 😀', 'Flor, de María'),
    CONCAT(
        ELT(1 + seq * 3 % 20, 'Quispe', 'Huamán', 'Ñaupari', 'Mamani', 'Chávez', 'Muñoz', 'Flores', 'De la Cruz', 'Núñez', 'Salazar',
            'Peña', 'Condori', 'Ibáñez', 'O''Higgins', 'Yupanqui', 'Güere', 'Tello "el Zurdo"', 'Zúñiga', 'Ramírez', 'Castañeda'),
        ' ',
        ELT(1 + (seq * 11 + seq DIV 20) % 7, 'Rojas', 'Espinoza', 'Gutiérrez', 'Vílchez', 'Ñahui', 'Cárdenas', 'Soto')),
    IF(seq % 31 = 0, NULL, CONCAT('usuario', seq, '@', ELT(1 + seq % 3, 'correo.pe', 'ejemplo.com', 'pharmavida.example'))),
    ELT(1 + seq % 10, 'USER', 'USER', 'USER', 'USER', 'USER', 'USER', 'USER', 'USER', 'FARMACEUTICO', 'ADMIN'),
    CASE
        WHEN seq % 13 = 0 THEN NULL
        WHEN seq % 47 = 0 THEN ''
        WHEN seq % 53 = 0 THEN 'Lima Cercado,\nEdificio "Rímac", piso 2'
        ELSE ELT(1 + seq % 12, 'Miraflores', 'San Isidro', 'Santiago de Surco', 'Breña', 'Jesús María', 'San Martín de Porres', 'Ate',
                 'San Juan de Lurigancho', 'Magdalena del Mar', 'La Molina', 'Rímac', 'Villa El Salvador')
    END,
    CONCAT('$2b$10$', SUBSTRING(SHA2(seq, 256), 1, 53))
FROM seq_1_to_{{rows}};

ANALYZE TABLE {{table}};
