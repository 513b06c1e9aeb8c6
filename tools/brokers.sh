#!/bin/sh
# Installs the missing brokers that `hilrig certify` can start, then runs the given command with all of
# them on its PATH and required. Brokers that are not in Debian go below target/brokers.
set -eu
cd "$(dirname "$0")/.."
place=$PWD/target/brokers

missing=$(while read -r thing packages; do
	[ -e "$thing" ] || command -v "$thing" >/dev/null || printf ' %s' "$packages"
done <<-'END'
	/usr/sbin/mosquitto mosquitto
	/usr/lib/rabbitmq/bin/rabbitmq-server rabbitmq-server
	/usr/sbin/nats-server nats-server
	/usr/share/activemq/bin/activemq.jar activemq
	/usr/share/java/mqtt-client.jar libmqtt-client-java
	/usr/share/java/hawtdispatch-transport.jar libhawtdispatch-java
	node nodejs
	npm npm
	python3 python3
	openssl openssl
END
)
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
	echo "installing:$missing"
	as_root=; [ "$(id -u)" = 0 ] || as_root=sudo
	$as_root apt-get update -qq
	# shellcheck disable=SC2086 # a list of packages
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi
if [ ! -x "$place/python/bin/amqtt" ]; then
	echo "installing: amqtt"
	python3 -m venv "$place/python"
	"$place/python/bin/pip" install --quiet amqtt
fi
if [ ! -e "$place/node/node_modules/aedes" ]; then
	echo "installing: aedes"
	mkdir -p "$place/node"
	npm install --silent --prefix "$place/node" aedes@1
fi
if [ ! -x "$place/cargo/bin/rumqttd" ]; then
	echo "installing: rumqttd"
	# Not --locked: its own list of versions does not build with this compiler.
	CARGO_TARGET_DIR="$place/build" cargo install --quiet --root "$place/cargo" rumqttd@0.20.0
fi
PATH=$place/python/bin:$place/cargo/bin:$PATH
NODE_PATH=$place/node/node_modules
HILRIG_REQUIRE_BROKERS=1
export PATH NODE_PATH HILRIG_REQUIRE_BROKERS
exec "$@"
