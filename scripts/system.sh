#!/bin/sh
# Installs what tests and demo need of the system: emulators of other processors, and of
# microcontrollers, with GCC and CMake as their users have them; an SSH server, which the tests start by
# themselves, with keys and a port of their own, adb, the shells and tool boxes that devices have (BusyBox, Toybox, csh, fish), openssl, a browser that reports are opened in (chromium), a linter of shell scripts, a voice (espeak-ng), and data that the
# examples learn from (and what generated applications are built with: g++, kotlin): Fashion-MNIST, WordNet, and the DNA of R's package mlbench.
# It does so as root on Debian and its kin; elsewhere it says what to install and what is left out.
set -eu

missing=""
command -v qemu-aarch64-static >/dev/null 2>&1 || missing="$missing qemu-user-static"
command -v qemu-system-arm >/dev/null 2>&1 || missing="$missing qemu-system-arm"
command -v qemu-system-riscv32 >/dev/null 2>&1 || missing="$missing qemu-system-misc"
command -v arm-none-eabi-gcc >/dev/null 2>&1 || missing="$missing gcc-arm-none-eabi"
command -v cmake >/dev/null 2>&1 || missing="$missing cmake"
# Where systemd runs, installing an SSH server would start it, open to the network: not unasked.
command -v sshd >/dev/null 2>&1 || [ -x /usr/sbin/sshd ] || [ -d /run/systemd/system ] ||
    missing="$missing openssh-server"
command -v adb >/dev/null 2>&1 || missing="$missing adb"
command -v ssh >/dev/null 2>&1 || missing="$missing openssh-client"
command -v kotlinc >/dev/null 2>&1 || missing="$missing kotlin"
command -v java >/dev/null 2>&1 || missing="$missing default-jre-headless"
command -v g++ >/dev/null 2>&1 || missing="$missing g++"
for program in busybox toybox csh fish openssl espeak-ng chromium shellcheck; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
[ -d /usr/share/datasets/fashion-mnist ] || missing="$missing dataset-fashion-mnist"
[ -e /usr/share/wordnet/data.noun ] || missing="$missing wordnet-base"
[ -d /usr/lib/R/site-library/mlbench ] || missing="$missing r-cran-mlbench"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # one word a package
    if apt-get -qq update && apt-get -qq install -y --no-install-recommends $missing >/dev/null; then
        exit 0
    fi
fi
echo "WARNING: not installed:$missing. Whatever needs it is skipped: the emulated Raspberry Pi, devices over SSH and ADB, other shells, and the examples that learn from such data." >&2
echo "  -> sudo apt-get install$missing" >&2
