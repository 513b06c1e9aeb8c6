# The lx106 on QEMU. firmware.bin is one file to be flashed at 0; bootrom.elf is
# QEMU's -kernel.
CROSS := xtensa-lx106-elf-
SPECS := /usr/lib/xtensa-lx106-elf/picolibc.specs
CPU_FLAGS := -mlongcalls -mtext-section-literals -falign-functions=4
PORT_MISSING := $(call need,$(CROSS)gcc,gcc-xtensa-lx106) \
	$(if $(wildcard $(SPECS)),,picolibc-xtensa-lx106-elf)
PORT_IMAGES := $(if $(FAULT)$(CALLERS),,$(OUT)/bootrom.elf)
PORT_ID_FILES := tools/elf2image.py tools/elf.py
SIZES = python3 tools/sizes.py $(OUT)/firmware.elf $(OUT)/firmware.bin

ROM_SOURCES := $(wildcard $(PORT_DIR)/bootrom/*.[cS]) $(PORT_DIR)/serial.c $(PORT_DIR)/arith.c \
	ports/common/serial_text.c
ROM_OBJECTS := $(patsubst %,$(OUT)/rom/%.o,$(basename $(ROM_SOURCES)))

$(OUT)/rom/%.o: %.c Makefile
	$(call compile,$(OWN_FLAGS) -I$(PORT_DIR) -Iports/common)
$(OUT)/rom/%.o: %.S Makefile
	$(call compile,$(CPU_FLAGS) -g -I$(PORT_DIR))
$(OUT)/bootrom.elf: $(ROM_OBJECTS) $(PORT_DIR)/bootrom/rom.ld
	@$(link) -T $(PORT_DIR)/bootrom/rom.ld $(ROM_OBJECTS) -lgcc -o $@
$(OUT)/firmware.bin: $(OUT)/firmware.elf tools/elf2image.py tools/elf.py
	@python3 tools/elf2image.py $< $@
