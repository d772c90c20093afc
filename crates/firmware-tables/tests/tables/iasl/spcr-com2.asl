// COM2 at 9600 baud.
                             Signature : "SPCR"
                          Table Length : 00000000
                              Revision : 01
                              Checksum : 00
                                Oem ID : "PSMP"
                          Oem Table ID : "SPCR1"
                          Oem Revision : 00000001
                       Asl Compiler ID : "INTL"
                 Asl Compiler Revision : 00000000

                        Interface Type : 00
                              Reserved : 000000

                  Serial Port Register : [Generic Address Structure]
                              Space ID : 01
                             Bit Width : 08
                            Bit Offset : 00
                  Encoded Access Width : 00
                               Address : 00000000000002F8

                        Interrupt Type : 03
                   PCAT-compatible IRQ : 03
                             Interrupt : 00000003
                             Baud Rate : 03
                                Parity : 00
                             Stop Bits : 01
                          Flow Control : 00
                         Terminal Type : 03
                              Reserved : 00
                         PCI Device ID : FFFF
                         PCI Vendor ID : FFFF
                               PCI Bus : 00
                            PCI Device : 00
                          PCI Function : 00
                             PCI Flags : 00000000
                           PCI Segment : 00
                              Reserved : 00000000
