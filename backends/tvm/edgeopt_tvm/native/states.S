/* What the states begin with, as it lies in a file. */
    .section .rodata.bundle_states, "a", %progbits
    .balign 64
    .globl bundle_states
    .hidden bundle_states
bundle_states:
    .incbin "states.bin"
    .byte 0
    .section .note.GNU-stack, "", %progbits
