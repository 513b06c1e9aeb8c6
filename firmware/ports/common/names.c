/* Names, resolved by lwIP. */
#include <string.h>

#include "lwip/dns.h"
#include "net.h"

/* One query at a time; a new name drops the old answer. */
static struct {
	char name[DNS_MAX_NAME_LENGTH];
	uintptr_t serial; /* the query that an answer belongs to */
	int result;       /* as net_resolve() returns it */
	bool asked;
	ip_addr_t address;
} question;

static void answered(const char *name, const ip_addr_t *address, void *serial)
{
	(void)name;
	if ((uintptr_t)serial != question.serial)
		return;
	net_event();
	question.result = address != NULL ? 1 : -1;
	if (address != NULL)
		question.address = *address;
}

int net_resolve(const char *name, uint8_t address[4])
{
	int result;

	if (strlen(name) >= sizeof question.name || *name == 0)
		return -1;
	if (!question.asked || strcmp(name, question.name) != 0) {
		strcpy(question.name, name);
		question.asked = true;
		question.result = 0;
		question.serial++;
		switch (dns_gethostbyname(question.name, &question.address, answered,
					  (void *)question.serial)) {
		case ERR_OK:
			question.result = 1;
			break;
		case ERR_INPROGRESS:
			break;
		default:
			question.result = -1;
		}
	}
	result = question.result;
	if (result == 1)
		memcpy(address, &question.address.addr, 4);
	if (result != 0)
		question.asked = false; /* asked again, the name is looked up again */
	return result;
}
