/* From cores/esp8266/IPAddress.h and Printable.h of the Arduino core 3.1.2: it has a vtable, and all but
 * the construction from a number lies in the core. */
#ifndef IPADDRESS_H
#define IPADDRESS_H

#include <stddef.h>
#include <stdint.h>

class Print;

class Printable {
public:
	virtual size_t printTo(Print &to) const = 0;
};

class IPAddress : public Printable {
public:
	IPAddress();
	IPAddress(const IPAddress &from);
	IPAddress(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
	IPAddress(uint32_t address) { *this = address; }

	IPAddress &operator=(uint32_t address);
	IPAddress &operator=(const IPAddress &from) = default;
	uint8_t operator[](int index) const
	{
		return static_cast<uint8_t>(address >> (8 * index));
	}

	size_t printTo(Print &to) const override;

private:
	uint32_t address; // a.b.c.d as memory has it
};

#endif
