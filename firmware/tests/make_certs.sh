#!/bin/sh
# Makes the certificates of the tests, with openssl: make_certs.sh DIR
set -eu
umask 077
mkdir -p "$1"
cd "$1"

ca() { # NAME, COMMON NAME, key options...
	name=$1
	common=$2
	shift 2
	openssl genpkey "$@" -out "$name.key" 2>/dev/null
	openssl req -x509 -new -key "$name.key" -subj "/CN=$common" -days 3650 \
		-addext basicConstraints=critical,CA:TRUE -out "$name.pem"
	openssl x509 -in "$name.pem" -outform der -out "$name.der"
}

leaf() { # NAME, CA, DNS name, key options...
	name=$1
	ca=$2
	dns=$3
	shift 3
	openssl genpkey "$@" -out "$name.key" 2>/dev/null
	openssl req -new -key "$name.key" -subj "/CN=$dns" -out "$name.csr"
	printf 'basicConstraints=CA:FALSE\nsubjectAltName=DNS:%s\n' "$dns" >"$name.ext"
	openssl x509 -req -in "$name.csr" -CA "$ca.pem" -CAkey "$ca.key" -CAcreateserial \
		-days 3650 -extfile "$name.ext" -out "$name.pem" 2>/dev/null
	openssl x509 -in "$name.pem" -outform der -out "$name.der"
}

p256="-algorithm EC -pkeyopt ec_paramgen_curve:P-256"

# $p256 is meant to be split into options.
ca ec256 "test CA ec256" $p256
ca ec384 "test CA ec384" -algorithm EC -pkeyopt ec_paramgen_curve:P-384
ca rsa2048 "test CA rsa2048" -algorithm RSA -pkeyopt rsa_keygen_bits:2048
ca rsa4096 "test CA rsa4096" -algorithm RSA -pkeyopt rsa_keygen_bits:4096
ca secp256k1 "test CA secp256k1" -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 # not for BearSSL
ca ed25519 "test CA ed25519" -algorithm ed25519 # neither
# Calls itself what the good one is called.
ca impostor "test CA ec256" $p256
leaf broker ec256 broker.test $p256
leaf broker_of_rsa rsa2048 broker.test -algorithm RSA -pkeyopt rsa_keygen_bits:2048
leaf broker_of_rsa4096 rsa4096 broker.test -algorithm RSA -pkeyopt rsa_keygen_bits:4096
leaf broker_of_impostor impostor broker.test $p256
leaf wrong_name ec256 elsewhere.test $p256
leaf client ec256 "a client" $p256
# As openssl ecparam writes a key, and one of a kind that the board cannot use.
openssl ecparam -name prime256v1 >client.sec1 2>/dev/null
openssl ec -in client.key >>client.sec1 2>/dev/null
openssl pkcs8 -topk8 -in client.key -passout pass:secret -out client.locked
leaf client_of_impostor impostor "a client" $p256
touch made
