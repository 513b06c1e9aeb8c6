// The chip and the Arduino core around a sketch, as a process:
//
//   esp8266 FLASH PORT [HURRY]
//
// FLASH is a file of 4 MiB; PORT of this machine leads to the board's web server; time
// passes HURRY times as fast. UART0 is the standard output, pins are logged on the standard
// error. A restart executes the same program again, with what a chip keeps: flash and reason.
// On SIGHUP the stack's guard breaks, on SIGWINCH the firmware panics.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <Arduino.h>
#include <coredecls.h>
#include <uart.h>
#include <user_interface.h>

#include "fake.h"

extern "C" {
#include "crash.h"
}

#define FLASH_SIZE (4u << 20)
#define SECTOR 4096u
#define LINE_MS 2u // that a line takes at least
#define REASON "FAKE_RESET_REASON"

struct uart_ {
	int baud;
};

struct cont_ {
	bool guard_is_whole;
};

EspClass ESP;
static cont_t stack_of_loop = {true};
cont_t *g_pcont = &stack_of_loop;

static char **arguments;
static uint8_t *flash;
static uint16_t host_port;
static uint32_t hurry = 1;
static uint64_t started_ns;
static bool scheduled, stack_is_moved, sdk_is_quiet;
static struct rst_info reset_info;
static volatile sig_atomic_t panic_asked;

static uint64_t now_ns()
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

extern "C" uint32_t chip_ms(void)
{
	return static_cast<uint32_t>((now_ns() - started_ns) / 1000000u * hurry);
}

extern "C" uint16_t chip_host_port(void)
{
	return host_port;
}

extern "C" bool chip_was_scheduled(void)
{
	bool was = scheduled;

	scheduled = false;
	return was;
}

extern "C" void chip_panic(const char *what)
{
	printf("[fake] panic: %s\r\n", what);
	fflush(stdout);
	_exit(70);
}

// -- time --

unsigned long millis(void)
{
	return chip_ms();
}

void yield(void)
{
	esp_schedule();
	radio_run(0);
	if (panic_asked) {
		panic_asked = 0;
		crash_panic("the test asked for it");
	}
}

void delay(unsigned long ms)
{
	radio_run(static_cast<uint32_t>(ms));
}

void esp_schedule()
{
	scheduled = true;
}

bool esp_try_delay(const uint32_t start, const uint32_t timeout, const uint32_t interval)
{
	uint32_t passed = chip_ms() - start;

	if (passed >= timeout)
		return true;
	radio_run(timeout - passed < interval ? timeout - passed : interval);
	return false;
}

void disable_extra4k_at_link_time(void)
{
	stack_is_moved = true;
}

// -- UART0 --

uart_t *uart_init(int number, int baud, int config, int mode, int tx_pin, size_t, bool invert)
{
	static struct uart_ line;

	if (number != UART0 || config != UART_8N1 || mode != UART_TX_ONLY || tx_pin != 1 || invert)
		chip_panic("not the UART that a rig reads");
	line.baud = baud;
	fprintf(stderr, "baud %d\n", baud);
	return &line;
}

void uart_set_baudrate(uart_t *uart, int baud)
{
	uart->baud = baud;
	fprintf(stderr, "baud %d\n", baud);
}

// The Arduino core's yields after any byte, if it is 10 ms since the last time; here after each, so
// that everything that a callback may do happens in the middle of every log line.
size_t uart_write(uart_t *, const char *bytes, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t now = write(STDOUT_FILENO, bytes + done, 1);

		if (now < 0 && errno != EINTR)
			_exit(71); // the test is gone
		if (now > 0) {
			radio_run_within(YIELD_LOG, bytes[done++] == '\n' ? LINE_MS : 0);
		}
	}
	return length;
}

void uart_wait_tx_empty(uart_t *)
{
}

void uart_set_debug(int number)
{
	sdk_is_quiet = number == UART_NO;
}

// -- pins --

void pinMode(uint8_t, uint8_t)
{
}

void digitalWrite(uint8_t pin, uint8_t value)
{
	fprintf(stderr, "pin %u %s\n", pin, value == LOW ? "low" : "high");
}

int analogRead(uint8_t pin)
{
	return pin == A0 ? 512 : 0;
}

// -- flash --

static bool in_flash(uint32_t address, size_t size)
{
	return address <= FLASH_SIZE && size <= FLASH_SIZE - address;
}

bool EspClass::flashEraseSector(uint32_t sector)
{
	if (!in_flash(sector * SECTOR, SECTOR))
		return false;
	memset(flash + sector * SECTOR, 0xFF, SECTOR);
	return true;
}

bool EspClass::flashWrite(uint32_t address, const uint8_t *data, size_t size)
{
	if (!in_flash(address, size))
		return false;
	for (size_t i = 0; i < size; i++)
		flash[address + i] &= data[i]; // NOR flash clears bits only
	return true;
}

bool EspClass::flashRead(uint32_t address, uint8_t *data, size_t size)
{
	if (!in_flash(address, size))
		return false;
	memcpy(data, flash + address, size);
	return true;
}

// -- stack --

void cont_check(cont_t *stack)
{
	if (stack->guard_is_whole)
		return;
	printf("\nStack smashing detected.\n");
	fflush(stdout);
	system_restart();
}

uint32_t EspClass::getFreeContStack()
{
	return 1900;
}

// -- reset --

struct rst_info *EspClass::getResetInfoPtr()
{
	return &reset_info;
}

// The Arduino core's: a crash text, and the SDK's restart, whose reason is always the same.
extern "C" [[noreturn]] void __wrap_abort(void)
{
	printf("\nUser exception (panic/abort/assert)\n--------------- CUT HERE FOR EXCEPTION DECODER ---------------\n"
	       "\nAbort called\n");
	fflush(stdout);
	system_restart();
	_exit(72);
}

static void on_signal(int number)
{
	if (number == SIGHUP)
		stack_of_loop.guard_is_whole = false;
	else
		panic_asked = 1;
}

void system_restart(void)
{
	setenv(REASON, "4", 1);
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	execv("/proc/self/exe", arguments);
	_exit(72);
}

void EspClass::wdtFeed()
{
}

uint8_t *EspClass::random(uint8_t *result, const size_t size)
{
	if (getrandom(result, size, 0) != static_cast<ssize_t>(size))
		chip_panic("no randomness on this machine");
	return result;
}

int main(int count, char **given)
{
	const char *reason = getenv(REASON);
	int file;

	if (count < 3) {
		fprintf(stderr, "usage: esp8266 FLASH PORT [HURRY]\n");
		return 2;
	}
	arguments = given;
	started_ns = now_ns();
	host_port = static_cast<uint16_t>(atoi(given[2]));
	hurry = count > 3 ? static_cast<uint32_t>(atoi(given[3])) : 1;
	reset_info.reason = reason != nullptr ? static_cast<uint32_t>(atoi(reason)) : 0;
	setvbuf(stderr, nullptr, _IOLBF, 0);
	file = open(given[1], O_RDWR | O_CLOEXEC);
	flash = static_cast<uint8_t *>(
		mmap(nullptr, FLASH_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
	if (file < 0 || flash == MAP_FAILED) {
		perror(given[1]);
		return 2;
	}
	signal(SIGHUP, on_signal);
	signal(SIGWINCH, on_signal);
	setup();
	if (!stack_is_moved)
		chip_panic("a stack of 7 KiB would lie in the SDK's");
	if (!sdk_is_quiet)
		chip_panic("the SDK's own messages would be in the boot log");
	for (;;)
		loop();
}
