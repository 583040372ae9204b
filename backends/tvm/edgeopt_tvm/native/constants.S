/* The constants, as they lie in a file. */
    .section .rodata.model_constants, "a", %progbits
    .balign 64
    .globl model_constants
    .hidden model_constants
model_constants:
    .incbin "constants.bin"
    .byte 0
    .section .note.GNU-stack, "", %progbits
