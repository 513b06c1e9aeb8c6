#!/bin/sh
# Makes the certificates of the tests, with openssl: make_certs.sh DIR
set -eu
umask 077
mkdir -p "$1"
cd "$1"

ca() { # NAME, key options...
	name=$1
	shift
	openssl genpkey -quiet "$@" -out "$name.key" 2>/dev/null ||
		openssl genpkey "$@" -out "$name.key" 2>/dev/null
	openssl req -x509 -new -key "$name.key" -subj "/CN=hilrig test CA $name" -days 3650 \
		-addext basicConstraints=critical,CA:TRUE -out "$name.pem"
	openssl x509 -in "$name.pem" -outform der -out "$name.der"
}

leaf() { # NAME, CA, DNS name
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null
	openssl req -new -key "$1.key" -subj "/CN=$3" -out "$1.csr"
	printf 'basicConstraints=CA:FALSE\nsubjectAltName=DNS:%s\n' "$3" >"$1.ext"
	openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 3650 \
		-extfile "$1.ext" -out "$1.pem" 2>/dev/null
	openssl x509 -in "$1.pem" -outform der -out "$1.der"
}

ca ec256 -algorithm EC -pkeyopt ec_paramgen_curve:P-256
ca ec384 -algorithm EC -pkeyopt ec_paramgen_curve:P-384
ca rsa2048 -algorithm RSA -pkeyopt rsa_keygen_bits:2048
ca rsa4096 -algorithm RSA -pkeyopt rsa_keygen_bits:4096
ca secp256k1 -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 # not for BearSSL
ca ed25519 -algorithm ed25519                                    # neither
ca other -algorithm EC -pkeyopt ec_paramgen_curve:P-256
leaf broker ec256 broker.test
leaf broker_of_rsa rsa2048 broker.test
leaf broker_of_other other broker.test
leaf wrong_name ec256 elsewhere.test
touch made
