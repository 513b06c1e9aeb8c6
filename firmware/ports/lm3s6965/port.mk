# The Cortex-M3 LM3S6965, as QEMU's lm3s6965evb has it: firmware.elf is QEMU's
# -kernel, firmware.bin what lies in the flash from 0 on.
CROSS := arm-none-eabi-
SPECS := /usr/lib/picolibc/arm-none-eabi/picolibc.specs
CPU_FLAGS := -mcpu=cortex-m3 -mthumb
# The FIFO of the Ethernet controller has a 16-bit length before each frame, where
# lwIP then has its padding: frames are moved by whole words, without a copy.
PORT_LWIP_FLAGS := -DETH_PAD_SIZE=2
PORT_MISSING := $(call need,$(CROSS)gcc,gcc-arm-none-eabi) \
	$(if $(wildcard $(SPECS)),,picolibc-arm-none-eabi)
SIZES = $(CROSS)size $(OUT)/firmware.elf

$(OUT)/firmware.bin: $(OUT)/firmware.elf
	@$(CROSS)objcopy -O binary $< $@
